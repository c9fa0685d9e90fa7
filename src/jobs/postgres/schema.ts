/**
 * The tables of jobs, in the schema `fourfold`:
 * - `jobs`: all that are not finished. Small, whatever was done before: what workers look through.
 * - `finished_jobs`: done and cancelled, in eight partitions that are filled and emptied in turn.
 * - `job_segments`: which of them is being filled; and a name for this database, to tell it from others by.
 * - `job_workers`: the leases of workers.
 * - `job_names`: what is limited, paused or scheduled.
 * - `job_requests`: what stands behind an Idempotency-Key.
 */

import { CREATE_FUNCTIONS_SQL, functionNames } from './functions.ts'

/** The advisory lock of everything in the schema `fourfold`; the same as the engine's. */
export { SCHEMA_LOCK } from '../../engines/postgres/epoch.ts'

export const segments = 8

const listed = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ')
const tables = ['jobs', 'finished_jobs', 'job_segments', 'job_workers', 'job_names', 'job_requests']

// The catalogues and not to_regclass(): that one fails where the role may not use the schema.
export const HAS_TABLES_SQL: string = `
select (select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'fourfold' and c.relname in (${listed(tables)})) = ${tables.length}
  and (select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'fourfold' and p.proname in (${listed(functionNames)})) = ${functionNames.length} as present`

const partitions = Array.from(
  { length: segments },
  (_, at) =>
    `create table if not exists fourfold.finished_jobs_${at} partition of fourfold.finished_jobs for values in (${at});`,
).join('\n')

// Rows change several times in a short life: room for that in their pages, and a vacuum that does not wait for a fifth
// of the table to be dead.
export const CREATE_TABLES_SQL: string = `
create schema if not exists fourfold;
create table if not exists fourfold.jobs (
  id bigint generated always as identity primary key,
  name text not null,
  state text not null,
  rank timestamptz not null,
  run_at timestamptz not null,
  priority smallint not null,
  input json not null,
  owner text,
  key text,
  unique_key text,
  worker bigint,
  token integer not null default 0,
  attempt integer not null default 0,
  attempts integer not null,
  version integer not null default 0,
  cancelled boolean not null default false,
  progress real,
  message text,
  errors jsonb,
  ordered_at timestamptz not null default now(),
  begun_at timestamptz)
with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0);
create index if not exists jobs_waiting on fourfold.jobs (name, rank, id) where state = 'waiting';
create index if not exists jobs_waiting_keys on fourfold.jobs (name, key, rank, id) where state = 'waiting' and key is not null;
create index if not exists jobs_scheduled on fourfold.jobs (run_at) where state = 'scheduled';
create index if not exists jobs_running on fourfold.jobs (worker) where state = 'running';
create index if not exists jobs_failed on fourfold.jobs (name, id) where state = 'failed';
create unique index if not exists jobs_unique on fourfold.jobs (name, unique_key)
  where unique_key is not null and state <> 'failed';
create table if not exists fourfold.finished_jobs (
  segment smallint not null,
  id bigint not null,
  name text not null,
  state text not null,
  input json not null,
  output json,
  owner text,
  worker bigint,
  token integer not null,
  attempt integer not null,
  attempts integer not null,
  version integer not null,
  progress real,
  message text,
  errors jsonb,
  run_at timestamptz not null,
  ordered_at timestamptz not null,
  begun_at timestamptz,
  finished_at timestamptz not null,
  primary key (id, segment)) partition by list (segment);
${partitions}
create table if not exists fourfold.job_segments (
  one boolean primary key default true check (one), current smallint not null, began_at timestamptz not null,
  identity uuid not null default gen_random_uuid());
insert into fourfold.job_segments (current, began_at) values (0, now()) on conflict do nothing;
create table if not exists fourfold.job_workers (
  id bigint generated always as identity primary key, name text not null, expires_at timestamptz not null);
create table if not exists fourfold.job_names (
  name text primary key, paused boolean not null default false, arrival timestamptz, last_tick timestamptz);
create table if not exists fourfold.job_requests (
  owner text not null, key text not null, fingerprint text not null, job bigint, asked_at timestamptz not null default now(),
  primary key (owner, key));
create index if not exists job_requests_asked_at on fourfold.job_requests (asked_at);
${CREATE_FUNCTIONS_SQL}`
