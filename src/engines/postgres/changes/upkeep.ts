/** What the doctor does when it is told to: making what the stream needs ahead of time, and taking all of it away again. */

import pg from 'pg'

import type { PostgresAddress } from '../address.ts'
import { endClient } from '../client-state.ts'
import { ensureEpoch, SCHEMA_LOCK } from '../epoch.ts'
import { ANNOUNCE_DDL_SQL, EVENT_TRIGGERS_SQL, eventTriggerNames } from './event-triggers.ts'
import { install, OWN_SQL, type DdlPolicy } from './installation.ts'
import { publicationName, slotName } from './names.ts'

const timeoutMs = 10_000

/**
 * Makes the publication and the event triggers. Answers why DDL cannot be seen, where it still cannot.
 *
 * @param privileged who makes the event triggers, where the app's own role may not
 */
export async function setUpStream(
  address: PostgresAddress,
  ddl: DdlPolicy,
  privileged?: PostgresAddress,
): Promise<string | null> {
  return await connected(address, async (client) => {
    await ensureEpoch(client)
    const { blind } = await install(client, ddl)
    if (blind === null || privileged === undefined) return blind
    await connected(privileged, makeTriggers)
    return (await install(client, ddl)).blind
  })
}

async function makeTriggers(client: pg.Client): Promise<void> {
  await client.query('begin')
  await client.query('select pg_advisory_xact_lock($1)', [SCHEMA_LOCK])
  await client.query(OWN_SQL)
  await client.query(ANNOUNCE_DDL_SQL)
  await client.query(EVENT_TRIGGERS_SQL)
  await client.query('commit')
}

/**
 * Takes away the slot, the publication, the event triggers and what stands beside them. Answers the statements that put
 * back the replica identities of the tables.
 *
 * @throws PostgreSQL's 55006 while a tracker runs
 */
export async function removeStream(name: string, address: PostgresAddress): Promise<readonly string[]> {
  return await connected(address, async (client) => {
    const { rows: oids } = await client.query(
      `select oid::int8::float8 as oid from pg_database where datname = current_database()`,
    )
    const slot = slotName(name, Number((oids[0] as { oid: number }).oid))
    await client.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = $1', [
      slot,
    ])
    const { rows } = await client.query(FULL_TABLES_SQL, [publicationName])
    await client.query('begin')
    for (const trigger of eventTriggerNames) await client.query(`drop event trigger if exists ${trigger}`)
    await client.query(REMOVE_SQL)
    await client.query('commit')
    return rows.map((row) => `ALTER TABLE ${(row as { name: string }).name} REPLICA IDENTITY DEFAULT`)
  })
}

const FULL_TABLES_SQL = `
select c.oid::regclass::text as name from pg_class c where c.relkind = 'r' and c.relreplident = 'f' and exists (
  select from pg_publication_rel m join pg_publication p on p.oid = m.prpubid
  where p.pubname = $1 and (m.prrelid = c.oid or m.prrelid in (select relid from pg_partition_ancestors(c.oid))))
order by 1`

const REMOVE_SQL = `
drop publication if exists ${publicationName};
drop function if exists fourfold.announce_ddl();
drop table if exists fourfold.change_stream, fourfold.stream_slot, fourfold.watched_table`

async function connected<T>(address: PostgresAddress, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({
    ...(address as pg.ClientConfig),
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    application_name: 'fourfold-doctor',
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await work(client)
  } finally {
    await endClient(client)
  }
}
