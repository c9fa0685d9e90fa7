/**
 * The epoch of a PostgreSQL server: FRESHNESS rule 4.
 *
 * After a crash, a failover or a restore the same position can stand for other contents. What all of them have in
 * common is that PostgreSQL empties unlogged tables: so the current epoch lives in an UNLOGGED table of one row, and
 * whoever first finds it empty makes a new one. A logged mirror row lets standbys show which epoch they have replayed.
 *
 * Invariants: both rows are written in one transaction, under one advisory lock; `home` is the table's own oid, so
 * that rows brought by a dump count as absent. Needs no superuser: CREATE on the database the first time.
 */

import { randomBytes } from 'node:crypto'

import { FourfoldError } from '../../core/errors.ts'
import type { Epoch } from '../position.ts'
import { isReplicaRefusal, type QueryClient, sqlState } from './client.ts'

/** The advisory lock of everything in the schema `fourfold`: "ffschema" in ASCII, as a signed 64-bit number. */
export const SCHEMA_LOCK = '7378431562903577953'

/** Answers the server's epoch, and makes one where a crash, a failover or a restore took it. Run it on the primary. */
export async function ensureEpoch(client: QueryClient): Promise<Epoch> {
  try {
    const known = await readEpoch(client)
    return known ?? (await replaceEpoch(client, null))
  } catch (error) {
    throw describe(error)
  }
}

/**
 * Replaces the epoch, if it is still `seen`: for a server that was seen behind a position which it had published.
 * Answers the epoch that holds afterwards.
 */
export async function renewEpoch(client: QueryClient, seen: Epoch): Promise<Epoch> {
  try {
    return await replaceEpoch(client, seen)
  } catch (error) {
    throw describe(error)
  }
}

async function readEpoch(client: QueryClient): Promise<Epoch | null> {
  if (!(await hasTables(client))) return null
  const { rows } = await client.query(CURRENT_EPOCH_SQL)
  const epoch = rows[0]?.epoch
  if (typeof epoch !== 'string') return null
  const system = await readSystem(client)
  return system === null || epoch.startsWith(`${system}.`) || epoch.startsWith('unknown.') ? epoch : null
}

async function replaceEpoch(client: QueryClient, seen: Epoch | null): Promise<Epoch> {
  // READ COMMITTED whatever the role's default is: what another did under the lock must be seen after waiting for it.
  await client.query('begin isolation level read committed read write')
  try {
    // Everybody who finds the table empty comes here; the second one finds the first one's epoch.
    await client.query('select pg_advisory_xact_lock($1)', [SCHEMA_LOCK])
    if (!(await hasTables(client))) await client.query(CREATE_TABLES_SQL)
    const current = await readEpoch(client)
    const epoch = current === null || current === seen ? await writeEpoch(client) : current
    await client.query('commit')
    return epoch
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

async function writeEpoch(client: QueryClient): Promise<Epoch> {
  const system = (await readSystem(client)) ?? 'unknown'
  const { rows } = await client.query(TIMELINE_SQL)
  const timeline = String(rows[0]?.timeline)
  const epoch = `${system}.${timeline}.${randomBytes(9).toString('base64url')}`
  await client.query(WRITE_LIVE_SQL, [epoch, timeline])
  await client.query(WRITE_MIRROR_SQL, [epoch, timeline])
  return epoch
}

/** The cluster's own number; null where the role may not ask: the random part tells epochs apart then. */
async function readSystem(client: QueryClient): Promise<string | null> {
  const { rows } = await client.query(MAY_READ_SYSTEM_SQL)
  if (rows[0]?.allowed !== true) return null
  const system = await client.query('select system_identifier::text as system from pg_control_system()')
  return String(system.rows[0]?.system)
}

async function hasTables(client: QueryClient): Promise<boolean> {
  const { rows } = await client.query(HAS_TABLES_SQL)
  return rows[0]?.present === true
}

function describe(error: unknown): unknown {
  const state = sqlState(error)
  // On a standby: writing, setting READ WRITE, and reading an unlogged table.
  if (state === '25006' || (state === '0A000' && isReplicaRefusal(error))) {
    const message =
      'Expected the primary, got a server in recovery (a standby): check which server databases.<name>.url reaches'
    return new FourfoldError('FF_ENGINE_NOT_PRIMARY', message, { cause: error })
  }
  if (state === '42501') {
    const message =
      'The database user may not keep the schema "fourfold": grant it CREATE on the database, or run once as the owner: ' +
      `${CREATE_TABLES_SQL.replaceAll(/\s+/g, ' ')}; then GRANT USAGE ON SCHEMA fourfold and SELECT, INSERT, UPDATE on its tables`
    return new FourfoldError('FF_ENGINE_PERMISSION', message, { cause: error })
  }
  return error
}

// The catalogues and not to_regclass(): that one fails where the role may not use the schema.
const HAS_TABLES_SQL = `
select count(*) = 3 as present from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'fourfold' and c.relname in ('live_epoch', 'epoch', 'heartbeat')`

const CREATE_TABLES_SQL = `
create schema if not exists fourfold;
create unlogged table if not exists fourfold.live_epoch (
  one boolean primary key default true check (one), home oid not null, timeline text not null, epoch text not null);
create table if not exists fourfold.epoch (
  one boolean primary key default true check (one), home oid not null, timeline text not null, epoch text not null);
create table if not exists fourfold.heartbeat (one boolean primary key default true check (one), beat bigint not null);
insert into fourfold.heartbeat (beat) values (0) on conflict do nothing`

// From the log file's name: the control file still names the old timeline for a while after a promotion.
const TIMELINE_SQL = 'select substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) as timeline'

/** No row where a recovery has taken it. Reads the unlogged table: on the primary only. */
export const CURRENT_EPOCH_SQL = `
select epoch from fourfold.live_epoch
where home = tableoid and timeline = substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)`

const MAY_READ_SYSTEM_SQL = `select has_function_privilege('pg_catalog.pg_control_system()', 'execute') as allowed`

const WRITE_LIVE_SQL = `
insert into fourfold.live_epoch (home, epoch, timeline) values ('fourfold.live_epoch'::regclass::oid, $1, $2)
on conflict (one) do update set home = excluded.home, epoch = excluded.epoch, timeline = excluded.timeline`

const WRITE_MIRROR_SQL = `
insert into fourfold.epoch (home, epoch, timeline) values ('fourfold.epoch'::regclass::oid, $1, $2)
on conflict (one) do update set home = excluded.home, epoch = excluded.epoch, timeline = excluded.timeline`
