/**
 * Positions of PostgreSQL: FRESHNESS rules 2, 4 and 21 as SQL.
 *
 * A write position must be read after COMMIT (inside a transaction it is too low: the commit record comes later),
 * a replay position on the very connection that will do the reading.
 */

import { FourfoldError } from '../../core/errors.ts'
import { type Epoch, type Lsn, parseLsn, type ReplayPosition, type WritePosition } from '../position.ts'
import { type QueryClient, sqlState } from './client.ts'
import { ensureEpoch } from './epoch.ts'

/**
 * The insert position, its offset in the log file, and the live epoch; one round trip, no lock.
 *
 * The insert position and not the flushed one: with `synchronous_commit = off` a commit is acknowledged before it is
 * flushed. The epoch counts only where the row was written in this very table (a restored dump brings the row along)
 * and on this timeline (a promotion shows there first).
 */
export const WRITE_POSITION_SQL: string = `
select now.lsn::text as lsn, file.file_offset::int as "offset",
  (select e.epoch from fourfold.live_epoch e
   where e.home = e.tableoid and e.timeline = substr(file.file_name, 1, 8)) as epoch
from (select pg_current_wal_insert_lsn() as lsn) now, pg_walfile_name_offset(now.lsn) file`.trim()

/**
 * What this standby has replayed, and the epoch it has replayed: its mirror in a logged table, since a standby cannot
 * read unlogged ones. No row on a server that is not a standby.
 *
 * The statement's snapshot is older than the position, so the epoch may be the one before, never the one after: then
 * the replica is not eligible for a moment longer, which is the safe side.
 */
export const REPLAY_POSITION_SQL: string = `
select pg_last_wal_replay_lsn()::text as lsn, pg_postmaster_start_time()::text as server,
  (select e.epoch from fourfold.epoch e where e.home = e.tableoid) as epoch
where pg_is_in_recovery()`.trim()

export interface WritePositionRow {
  readonly lsn: string
  readonly offset: number
  /** Null when the server forgot it in a crash or promotion: call `ensureEpoch`, then read the position again. */
  readonly epoch: Epoch | null
}

export interface ReplayPositionRow {
  readonly lsn: string | null
  /** When the server started, to the microsecond: tells servers behind one address apart. */
  readonly server?: string
  readonly epoch: Epoch | null
}

/** The position in a row of {@link WRITE_POSITION_SQL}; null when there is no live epoch. */
export function parseWritePosition(row: WritePositionRow): WritePosition | null {
  if (row.epoch === null) return null
  return { epoch: row.epoch, lsn: beforePageHeader(parseLsn(row.lsn), row.offset) } as WritePosition
}

/** The position in a row of {@link REPLAY_POSITION_SQL}; null where there is no row, no position or no epoch. */
export function parseReplayPosition(row: ReplayPositionRow | undefined): ReplayPosition | null {
  if (row === undefined || row.lsn === null || row.epoch === null) return null
  return { epoch: row.epoch, lsn: parseLsn(row.lsn) } as ReplayPosition
}

/** The primary's position now; makes a new epoch where the server has none. */
export async function readWritePosition(client: QueryClient): Promise<WritePosition> {
  const position = await readIfKnown(client)
  if (position !== null) return position
  await ensureEpoch(client)
  const again = parseWritePosition(await readWriteRow(client))
  if (again !== null) return again
  throw new FourfoldError(
    'FF_ENGINE_EPOCH',
    'The epoch vanished again right after it was made: the server keeps crashing',
  )
}

async function readIfKnown(client: QueryClient): Promise<WritePosition | null> {
  try {
    return parseWritePosition(await readWriteRow(client))
  } catch (error) {
    // The schema is not there (nobody has asked this database for an epoch yet), or may not be used: making one tells.
    if (['42P01', '3F000', '42501'].includes(sqlState(error) ?? '')) return null
    throw error
  }
}

/** What the standby behind this connection has replayed; null where it is no standby or has not replayed an epoch. */
export async function readReplayPosition(client: QueryClient): Promise<ReplayPosition | null> {
  const { rows } = await client.query(REPLAY_POSITION_SQL)
  return parseReplayPosition(rows[0] as ReplayPositionRow | undefined)
}

async function readWriteRow(client: QueryClient): Promise<WritePositionRow> {
  const { rows } = await client.query(WRITE_POSITION_SQL)
  return rows[0] as unknown as WritePositionRow
}

const pageBytes = 8192
const shortHeaderBytes = 24
const longHeaderBytes = 40

/**
 * When a record ends exactly at a page's end, the insert position stands behind the next page's header, while a
 * standby that replayed everything stands before it, and would never be taken for caught up. The first page of a log
 * file has the longer header; elsewhere 40 is an ordinary place for a record to end.
 */
export function beforePageHeader(lsn: Lsn, fileOffset: number): Lsn {
  if (fileOffset === longHeaderBytes) return lsn - longHeaderBytes
  return fileOffset > pageBytes && fileOffset % pageBytes === shortHeaderBytes ? lsn - shortHeaderBytes : lsn
}
