/** What a server says about itself, as far as the change stream depends on it. Leaves nothing behind. */

import pg from 'pg'

import type { PostgresAddress } from '../address.ts'
import { cutConnection, endClient } from '../client-state.ts'
import { withDeadline } from '../../../core/deadline.ts'
import { eventTriggerNames } from './event-triggers.ts'
import { OWN_SQL } from './installation.ts'
import { publicationName, slotName, trackerApplicationName } from './names.ts'

export interface SlotFacts {
  readonly name: string
  readonly active: boolean
  readonly status: string | null
  readonly retainedBytes: number
}

export interface ServerFacts {
  /** As PostgreSQL numbers them: 180004. */
  readonly version: number
  readonly versionText: string
  readonly inRecovery: boolean
  readonly role: string
  readonly database: string
  /** The hosted service it seems to be; null for any other server. */
  readonly service: string | null
  readonly walLevel: string
  readonly maxSlots: number
  readonly usedSlots: number
  readonly maxSenders: number
  readonly usedSenders: number
  /** Why no replication connection can be opened. */
  readonly replicationError: string | null
  readonly mayCreate: boolean
  readonly synchronous: string
  readonly publication: { readonly allTables: boolean; readonly tables: readonly string[] } | null
  readonly triggers: { readonly present: number; readonly wanted: number }
  /** Why no event trigger can be made. */
  readonly triggerError: string | null
  /** As written in SQL. */
  readonly notOwned: readonly string[]
  /** -1: no limit. */
  readonly keepSizeMb: number
  readonly slot: SlotFacts | null
}

export interface FactsOptions {
  /** The app's name of the database. */
  readonly name: string
  readonly address: PostgresAddress
  readonly timeoutMs: number
  /** Whether an event trigger is made and taken back, to see whether it can be. */
  readonly probe: boolean
}

export async function readServerFacts({ name, address, timeoutMs, probe }: FactsOptions): Promise<ServerFacts> {
  const client = new pg.Client({
    ...(address as pg.ClientConfig),
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    application_name: 'fourfold-doctor',
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const { rows: oids } = await client.query(
      `select oid::int8::float8 as oid from pg_database where datname = current_database()`,
    )
    const slot = slotName(name, Number((oids[0] as { oid: number }).oid))
    const { rows } = await client.query(FACTS_SQL, [slot, eventTriggerNames])
    const facts = rows[0] as Omit<ServerFacts, 'replicationError' | 'triggerError' | 'triggers'> & { present: number }
    const replicationError = await tryReplication(address, timeoutMs)
    const triggers = { present: facts.present, wanted: eventTriggerNames.length }
    const triggerError = probe && triggers.present !== triggers.wanted ? await tryEventTrigger(client) : null
    return { ...facts, triggers, replicationError, triggerError }
  } finally {
    await endClient(client)
  }
}

/** The one sure test: hosted services give the right in ways of their own, and poolers do not pass it on. */
async function tryReplication(address: PostgresAddress, timeoutMs: number): Promise<string | null> {
  const client = new pg.Client({
    ...(address as pg.ClientConfig),
    connectionTimeoutMillis: timeoutMs,
    application_name: trackerApplicationName,
    replication: 'database',
  } as pg.ClientConfig)
  client.on('error', () => undefined)
  try {
    const work = async (): Promise<void> => {
      await client.connect()
      await client.query('IDENTIFY_SYSTEM')
    }
    await withDeadline(work(), timeoutMs, 'a replication connection')
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    cutConnection(client)
  }
}

/** Makes one and takes it back. */
async function tryEventTrigger(client: pg.Client): Promise<string | null> {
  await client.query('begin')
  try {
    await client.query(OWN_SQL)
    await client.query(PROBE_SQL)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    await client.query('rollback').catch(() => undefined)
  }
}

const PROBE_SQL = `
set local lock_timeout = '2s';
create function pg_temp.fourfold_probe() returns event_trigger language plpgsql as $$ begin end $$;
create event trigger fourfold_probe on ddl_command_end when tag in ('CREATE STATISTICS')
execute function pg_temp.fourfold_probe()`

// Hosted services are known by the roles that they bring along.
const FACTS_SQL = `
select current_setting('server_version_num')::int as version, current_setting('server_version') as "versionText",
  pg_is_in_recovery() as "inRecovery", current_user::text as role, current_database()::text as database,
  (select case
    when exists (select from pg_proc where proname = 'aurora_version') then 'Amazon Aurora'
    when exists (select from pg_roles where rolname = 'rds_superuser') then 'Amazon RDS'
    when exists (select from pg_roles where rolname = 'cloudsqlsuperuser') then 'Google Cloud SQL'
    when exists (select from pg_roles where rolname = 'azure_pg_admin') then 'Azure'
    when exists (select from pg_roles where rolname = 'supabase_admin') then 'Supabase'
    when exists (select from pg_roles where rolname = 'neon_superuser') then 'Neon' end) as service,
  current_setting('wal_level') as "walLevel",
  current_setting('max_replication_slots')::int as "maxSlots",
  (select count(*)::int from pg_replication_slots) as "usedSlots",
  current_setting('max_wal_senders')::int as "maxSenders",
  (select count(*)::int from pg_stat_replication) as "usedSenders",
  has_database_privilege(current_database(), 'CREATE') as "mayCreate",
  current_setting('synchronous_standby_names') as synchronous,
  (select json_build_object('allTables', p.puballtables, 'tables', coalesce((
      select json_agg(m.prrelid::regclass::text order by m.prrelid::regclass::text)
      from pg_publication_rel m where m.prpubid = p.oid), '[]'))
    from pg_publication p where p.pubname = '${publicationName}') as publication,
  (select count(*)::int from pg_event_trigger where evtname = any($2) and evtenabled = 'A') as present,
  array(select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence = 'p'
      and n.nspname not in ('pg_catalog', 'information_schema', 'fourfold') and n.nspname not like 'pg\\_%'
      and not pg_has_role(c.relowner, 'USAGE') and has_table_privilege(c.oid, 'SELECT')
    order by 1 limit 1000) as "notOwned",
  (select setting::int from pg_settings where name = 'max_slot_wal_keep_size') as "keepSizeMb",
  (select json_build_object('name', s.slot_name, 'active', s.active, 'status', s.wal_status,
      'retainedBytes', case when pg_is_in_recovery() then 0
        else coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn), 0)::float8 end)
    from pg_replication_slots s where s.slot_name = $1) as slot`
