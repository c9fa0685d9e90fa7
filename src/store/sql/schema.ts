/**
 * The store's tables in the schema `fourfold`, beside the engine's epoch. Logged, because an unlogged table is empty
 * after a crash and on a standby that takes over. No index on the end of life: a change of an indexed column would
 * write all indexes of the table, with every change of a session (no HOT updates).
 *
 * Keys and names are bytes: a text of PostgreSQL cannot hold a zero, and its order depends on the collation.
 */

import { FourfoldError } from '../../core/errors.ts'
import { sqlState, type QueryClient } from '../../engines/postgres/client.ts'
import { ensureEpoch, SCHEMA_LOCK } from '../../engines/postgres/epoch.ts'

/** Raised when a table changes: builds of two versions then refuse each other by name. */
export const schemaVersion = 1

// Half of a page stays free for new versions of its rows, which then need no new index entries.
const CREATE_TABLES_SQL = `
create schema if not exists fourfold;
create table if not exists fourfold.store_records (
  key bytea primary key, expires_at timestamptz not null, fields jsonb not null) with (fillfactor = 50);
create table if not exists fourfold.store_tokens (
  key bytea primary key, expires_at timestamptz not null, parts jsonb not null) with (fillfactor = 50);
create table if not exists fourfold.store_leases (
  key bytea primary key, expires_at timestamptz not null, holder bytea not null, fence bigint not null)
  with (fillfactor = 50);
create table if not exists fourfold.store_registry (
  grp bytea, id bytea, expires_at timestamptz not null, fence bigint not null, revision bigint not null,
  value bytea not null, primary key (grp, id)) with (fillfactor = 50);
create table if not exists fourfold.store_streams (
  key bytea primary key, expires_at timestamptz not null, oldest bigint not null, last bigint not null)
  with (fillfactor = 50);
create table if not exists fourfold.store_entries (
  stream bytea, number bigint, value bytea not null, primary key (stream, number));
create table if not exists fourfold.store_budgets (
  key bytea primary key, expires_at timestamptz not null) with (fillfactor = 50);
create table if not exists fourfold.store_sweeps (
  name text primary key, swept_at timestamptz not null default clock_timestamp(), next bytea not null default '');
insert into fourfold.store_sweeps (name)
  values ('records'), ('tokens'), ('leases'), ('streams'), ('registry'), ('budgets') on conflict do nothing;
create table if not exists fourfold.store_version (
  one boolean primary key default true check (one), version int not null);
insert into fourfold.store_version (version) values (${schemaVersion}) on conflict do nothing`

const tables: readonly string[] = [...CREATE_TABLES_SQL.matchAll(/table if not exists fourfold\.(\w+)/g)].map(
  ([, name]) => name!,
)

// The catalogues, because asking a table itself is an error where it is not. $1 the tables
const HAS_TABLES_SQL = `
select count(*) = ${tables.length} as present from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'fourfold' and c.relname = any ($1)`

/**
 * Makes the tables where they are missing, and the epoch where a recovery took it. Any number of processes may do so
 * at once: the lock lets one at a time look and make. `client` is one connection, on the primary, used by nobody else.
 */
export async function prepareSchema(client: QueryClient): Promise<void> {
  await ensureEpoch(client)
  if (await hasTables(client)) return
  await client.query('begin isolation level read committed read write')
  try {
    await client.query('select pg_advisory_xact_lock($1)', [SCHEMA_LOCK])
    // Looked again: who had the lock before has made them.
    if (!(await hasTables(client))) await client.query(CREATE_TABLES_SQL)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    throw sqlState(error) === '42501' ? permissionError(error) : error
  }
}

async function hasTables(client: QueryClient): Promise<boolean> {
  const { rows } = await client.query(HAS_TABLES_SQL, [tables])
  return rows[0]?.['present'] === true
}

function permissionError(cause: unknown): FourfoldError {
  const message =
    'The database user may not make the tables of the store in the schema "fourfold": grant it CREATE on the database, ' +
    `or run once as the owner: ${CREATE_TABLES_SQL.replaceAll(/\s+/g, ' ').trim()}; then GRANT USAGE ON SCHEMA fourfold and ` +
    'SELECT, INSERT, UPDATE, DELETE on its tables'
  return new FourfoldError('FF_ENGINE_PERMISSION', message, { cause })
}
