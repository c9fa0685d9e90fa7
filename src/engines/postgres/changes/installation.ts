/**
 * What the change stream keeps in the database: the publication, the event triggers that announce DDL, and a few rows
 * about itself. Made in one transaction by whoever comes first, and looked at every second afterwards.
 *
 * Somebody may take parts away, or disable them, and put them back: so the numbers and versions of the catalogue rows are
 * written down as a fingerprint. Another one means that changes may be missing from the stream.
 */

import type { QueryClient } from '../client.ts'
import { sqlState } from '../client.ts'
import { SCHEMA_LOCK } from '../epoch.ts'
import { ANNOUNCE_DDL_SQL, EVENT_TRIGGERS_SQL, eventTriggerNames } from './event-triggers.ts'
import { publicationName } from './names.ts'

export type DdlPolicy = 'any' | 'migrations-only'

export interface Installation {
  readonly fingerprint: string
  /** Why DDL cannot be seen, where it cannot: nothing may be cached then. */
  readonly blind: string | null
}

/** Rises with everything in this file and in `event-triggers.ts`. */
const version = 1

/** Makes what is missing. Waits for others who do the same. */
export async function install(client: QueryClient, ddl: DdlPolicy): Promise<Installation> {
  await client.query('begin isolation level read committed read write')
  try {
    await client.query('select pg_advisory_xact_lock($1)', [SCHEMA_LOCK])
    await client.query(OWN_SQL)
    const installation = await installLocked(client, ddl)
    await client.query('commit')
    return installation
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}

async function installLocked(client: QueryClient, ddl: DdlPolicy): Promise<Installation> {
  const before = await readInstallation(client)
  if (before !== null && isWhole(before, ddl)) return { fingerprint: before.fingerprint, blind: null }
  await client.query(TABLES_SQL)
  await makePublication(client)
  const blind = ddl === 'any' && before?.triggers !== eventTriggerNames.length ? await makeTriggers(client) : null
  const fingerprint = await readFingerprint(client)
  // Whoever reads the slot next finds that it is not written down, and makes it anew: also when this process dies here.
  if (before?.noted !== fingerprint || before.version !== version) await client.query(FORGET_SQL)
  await client.query(KEEP_SQL, [version, fingerprint])
  return { fingerprint, blind }
}

/** From here on slots count as incomplete: each is made anew by whoever reads it next. */
export async function forgetSlots(client: QueryClient): Promise<void> {
  await client.query(FORGET_SQL)
}

interface Present {
  readonly version: number
  readonly noted: string
  readonly fingerprint: string
  readonly publication: boolean
  readonly triggers: number
}

function isWhole(present: Present, ddl: DdlPolicy): boolean {
  const { triggers, publication, noted, fingerprint } = present
  if (present.version !== version || !publication || noted !== fingerprint) return false
  return ddl === 'migrations-only' || triggers === eventTriggerNames.length
}

async function readInstallation(client: QueryClient): Promise<Present | null> {
  const { rows: there } = await client.query(THERE_SQL)
  if (there[0]?.there !== true) return null
  const { rows } = await client.query(PRESENT_SQL, [eventTriggerNames])
  return (rows[0] as unknown as Present | undefined) ?? null
}

/** Somebody may have made one, or changed ours. */
async function makePublication(client: QueryClient): Promise<void> {
  const { rows } = await client.query(PUBLICATION_SQL, [publicationName])
  const { all, version: server } = rows[0] as { all: boolean | null; version: number }
  if (all === true) throw new Error(`the publication ${publicationName} is FOR ALL TABLES: drop it`)
  const options = server >= 180_000 ? `${publicationOptions}, ${generatedOption}` : publicationOptions
  const head = all === null ? `create publication ${publicationName} with` : `alter publication ${publicationName} set`
  await client.query(`${head} (${options})`)
}

/** Answers why it could not, where the right is missing. */
async function makeTriggers(client: QueryClient): Promise<string | null> {
  await client.query('savepoint triggers')
  try {
    await client.query(ANNOUNCE_DDL_SQL)
    await client.query(EVENT_TRIGGERS_SQL)
    await client.query('release savepoint triggers')
    return null
  } catch (error) {
    if (sqlState(error) !== '42501') throw error
    await client.query('rollback to savepoint triggers')
    return 'the database user may not make event triggers, so DDL would go unnoticed'
  }
}

async function readFingerprint(client: QueryClient): Promise<string> {
  const { rows } = await client.query(`select (${FINGERPRINT_SQL}) as fingerprint`)
  return String(rows[0]?.fingerprint)
}

/** For one transaction: event triggers say nothing about what Fourfold itself does. */
export const OWN_SQL = `select set_config('fourfold.own', 'on', true)`

const THERE_SQL = `
select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = 'fourfold' and c.relname = 'change_stream') as there`

// Versions of rows (xmin) show what was altered and put back.
export const FINGERPRINT_SQL: string = `
select coalesce(string_agg(line, ' ' order by line), '') from (
  select 'p' || oid || ':' || xmin as line from pg_publication where pubname = '${publicationName}'
  union all
  select 't' || t.oid || ':' || t.xmin || ':' || t.evtenabled::text || ':' || f.oid || ':' || f.xmin
  from pg_event_trigger t join pg_proc f on f.oid = t.evtfoid where t.evtname like 'fourfold\\_%') lines`

const PRESENT_SQL = `
select s.version, s.fingerprint as noted, (${FINGERPRINT_SQL}) as fingerprint,
  exists (select from pg_publication where pubname = '${publicationName}') as publication,
  (select count(*)::int from pg_event_trigger where evtname = any($1) and evtenabled = 'A') as triggers
from fourfold.change_stream s`

const TABLES_SQL = `
create table if not exists fourfold.change_stream (
  one boolean primary key default true check (one), version int not null, fingerprint text not null);
create table if not exists fourfold.stream_slot (slot text primary key, begun pg_lsn not null);
create table if not exists fourfold.watched_table (
  table_oid oid primary key, membership oid not null, since pg_lsn not null, epoch text not null)`

const PUBLICATION_SQL = `
select current_setting('server_version_num')::int as version,
  (select puballtables from pg_publication where pubname = $1) as "all"`

// Leaves send their own changes: a leaf's TRUNCATE would be hidden behind its root.
const publicationOptions = `publish = 'insert, update, delete, truncate', publish_via_partition_root = false`

// Without it PostgreSQL 18 refuses to update a table that has such columns and a full replica identity.
const generatedOption = 'publish_generated_columns = stored'

const FORGET_SQL = 'delete from fourfold.stream_slot'

const KEEP_SQL = `
insert into fourfold.change_stream (version, fingerprint) values ($1, $2)
on conflict (one) do update set version = excluded.version, fingerprint = excluded.fingerprint`
