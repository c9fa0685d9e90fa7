/** What a tracker asks the server for while it streams. One connection, one statement at a time. */

import type { QueryClient } from '../client.ts'
import { sqlState } from '../client.ts'
import { parseLsn, type Epoch, type Lsn } from '../../position.ts'
import { CURRENT_EPOCH_SQL } from '../epoch.ts'
import { FINGERPRINT_SQL } from './installation.ts'
import { beatPrefix, publicationName, trackerApplicationName } from './names.ts'
import { parseSnapshot, SNAPSHOT_SQL, type Snapshot } from './visibility.ts'

export async function readSnapshot(client: QueryClient): Promise<{ snapshot: Snapshot; epoch: Epoch | null }> {
  const { rows } = await client.query(SNAPSHOT_SQL)
  const { snapshot, epoch } = rows[0] as { snapshot: string; epoch: Epoch | null }
  return { snapshot: parseSnapshot(snapshot), epoch }
}

/** What must stay as it was while a run goes on. */
export interface Standing {
  readonly epoch: Epoch | null
  readonly fingerprint: string
  /** The members of the publication, as one text. */
  readonly members: string
  readonly slotPid: number | null
  readonly synchronous: string
  readonly inserted: Lsn
}

export async function readStanding(client: QueryClient, slot: string): Promise<Standing> {
  const { rows } = await client.query(STANDING_SQL, [slot])
  const row = rows[0] as unknown as Omit<Standing, 'inserted'> & { inserted: string }
  return { ...row, inserted: parseLsn(row.inserted) }
}

/** Whether a walsender of this name would be waited for by commits. */
export function isSynchronous(setting: string): boolean {
  const names = setting.replace(/^\s*(?:first|any)?\s*\d*\s*\(/i, '').replace(/\)\s*$/, '')
  return names
    .split(',')
    .map((name) => name.trim().replaceAll(/^"|"$/g, ''))
    .some((name) => name === '*' || name.toLowerCase() === trackerApplicationName)
}

/** Writes a heartbeat into the log and has it flushed. */
export async function emitBeat(client: QueryClient, beat: number): Promise<void> {
  try {
    await client.query('select pg_logical_emit_message(false, $1, $2, true)', [beatPrefix, String(beat)])
  } catch (error) {
    // Before PostgreSQL 17 nothing is flushed but by a commit, and only a transaction with a message has one.
    if (sqlState(error) !== '42883') throw error
    await client.query('select pg_logical_emit_message(true, $1, $2)', [beatPrefix, String(beat)])
  }
}

const STANDING_SQL = `
select (${CURRENT_EPOCH_SQL}) as epoch, (${FINGERPRINT_SQL}) as fingerprint,
  (select coalesce(string_agg(m.oid || ':' || m.prrelid, ' ' order by m.oid), '')
   from pg_publication_rel m join pg_publication p on p.oid = m.prpubid
   where p.pubname = '${publicationName}') as members,
  (select active_pid from pg_replication_slots where slot_name = $1) as "slotPid",
  current_setting('synchronous_standby_names') as synchronous,
  pg_current_wal_insert_lsn()::text as inserted`
