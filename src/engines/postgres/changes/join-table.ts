/**
 * How a table joins the publication: FRESHNESS rule 11, and decision 029 on where its coverage begins.
 *
 * One transaction: lock against writers, position, replica identity, membership, and a note of all that. A writer that was
 * before the lock has committed below the position; one that comes after is in the stream. The note is committed with the
 * join, so a tracker that dies right behind it knows the position all the same.
 */

import { type QueryClient, sqlState } from '../client.ts'
import { parseLsn, type Epoch, type Lsn } from '../../position.ts'
import { OWN_SQL } from './installation.ts'
import { publicationName } from './names.ts'
import { readTables, refusal, trackingFor, type TableFacts, type Tracking } from './tables.ts'

export interface JoinOptions {
  readonly table: number
  /** By the table's names: they are known only here. */
  readonly trackingOf: (schema: string, name: string) => Tracking
  readonly epoch: Epoch
  /** How long writers may have to wait behind this. */
  readonly lockTimeoutMs: number
}

export type Join =
  | { readonly joined: true; readonly since: Lsn; readonly tracking: 'full' | 'key'; readonly name: string }
  /** `busy`: others hold the table; worth another try soon. */
  | { readonly joined: false; readonly reason: string; readonly busy: boolean }

export async function joinTable(client: QueryClient, options: JoinOptions): Promise<Join> {
  await client.query('begin isolation level read committed read write')
  try {
    const join = await joinLocked(client, options)
    await client.query(join.joined ? 'commit' : 'rollback')
    return join
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    const reason = refusals[sqlState(error) ?? '']
    if (reason === undefined) throw error
    return { joined: false, reason: `${reason} (${String(error)})`, busy: sqlState(error) !== '42501' }
  }
}

const refusals: Readonly<Record<string, string>> = {
  '55P03': 'others hold locks on it',
  '40P01': 'others hold locks on it',
  '42501': 'the database user may not',
  '42P01': 'it has just been dropped',
}

async function joinLocked(client: QueryClient, options: JoinOptions): Promise<Join> {
  const { table: oid, epoch, lockTimeoutMs } = options
  const [before] = await readTables(client, [oid])
  if (before === undefined) return { joined: false, reason: 'there is no such table', busy: false }
  const tracking = trackingFor(before, options.trackingOf(before.schema, before.name))
  const reason = refusal(before, tracking)
  if (reason !== null || tracking === 'off') return { joined: false, reason: reason ?? '', busy: false }
  await client.query(OWN_SQL)
  await client.query(`set local lock_timeout = ${Math.round(lockTimeoutMs)}`)
  await client.query(`lock table ${before.sql} in share row exclusive mode`)
  const [table] = await readTables(client, [oid])
  if (table?.sql !== before.sql || refusal(table, tracking) !== null) {
    return { joined: false, reason: 'it is being altered', busy: true }
  }
  const noted = await readNote(client, table, epoch)
  await setIdentity(client, table, tracking)
  const since = noted ?? (await enter(client, table, epoch))
  return { joined: true, since, tracking, name: table.sql }
}

/** Where the table joined, if it has been a member ever since. */
async function readNote(client: QueryClient, { oid, membership }: TableFacts, epoch: Epoch): Promise<Lsn | null> {
  const { rows } = await client.query(NOTE_SQL, [oid, membership, epoch])
  return rows[0] === undefined ? null : parseLsn(String(rows[0]['since']))
}

/** Under `key` what is there stays, as long as it names rows at all and lets them be changed. */
async function setIdentity(client: QueryClient, table: TableFacts, tracking: 'full' | 'key'): Promise<void> {
  if (tracking === 'full') {
    for (const name of table.notFull) await client.query(`alter table ${name} replica identity full`)
  } else if (table.identity === 'n' || (table.computes && table.identity === 'f')) {
    await client.query(`alter table ${table.sql} replica identity default`)
  }
}

async function enter(client: QueryClient, table: TableFacts, epoch: Epoch): Promise<Lsn> {
  const { rows } = await client.query('select pg_current_wal_insert_lsn()::text as since')
  const since = String(rows[0]?.['since'])
  // A membership that nobody wrote down may be younger than a writer which was open then: it begins now, behind the lock.
  if (table.membership === null) await client.query(`alter publication ${publicationName} add table ${table.sql}`)
  await client.query(ENTER_SQL, [table.oid, publicationName, since, epoch])
  return parseLsn(since)
}

/**
 * Takes a table out that cannot be watched any more: as a member without an identity its rows could not be changed.
 */
export async function leaveTable(client: QueryClient, { oid, sql }: TableFacts): Promise<void> {
  await client.query('begin isolation level read committed read write')
  try {
    await client.query(OWN_SQL)
    await client.query(`alter publication ${publicationName} drop table ${sql}`)
    await client.query('delete from fourfold.watched_table where table_oid = $1', [oid])
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => undefined)
    // Somebody else was quicker, or it is not ours any more.
    if (!['42704', '42P01', '42501'].includes(sqlState(error) ?? '')) throw error
  }
}

/** The tables that have been members since they joined, with their positions. */
export async function readMembers(client: QueryClient, epoch: Epoch): Promise<ReadonlyMap<number, Lsn>> {
  const { rows } = await client.query(MEMBERS_SQL, [publicationName, epoch])
  return new Map(rows.map((row) => [Number(row['table']), parseLsn(String(row['since']))]))
}

const NOTE_SQL = `
select since::text from fourfold.watched_table where table_oid = $1 and membership = $2 and epoch = $3`

const ENTER_SQL = `
insert into fourfold.watched_table (table_oid, membership, since, epoch)
select $1::oid, m.oid, $3::pg_lsn, $4 from pg_publication_rel m join pg_publication p on p.oid = m.prpubid
where m.prrelid = $1::oid and p.pubname = $2
on conflict (table_oid) do update
set membership = excluded.membership, since = excluded.since, epoch = excluded.epoch`

const MEMBERS_SQL = `
select w.table_oid::int8::float8 as table, w.since::text as since
from fourfold.watched_table w
join pg_publication_rel m on m.oid = w.membership and m.prrelid = w.table_oid
join pg_publication p on p.oid = m.prpubid
where p.pubname = $1 and w.epoch = $2`
