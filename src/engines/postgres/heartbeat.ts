/**
 * Pushing the log's end out to replicas: FRESHNESS rule 3.
 *
 * On an idle server the insert position may not be reached by a replica for seconds, because the last bytes of the
 * log wait for company. A message with no meaning, flushed, takes everything before it along.
 */

import { type QueryClient, sqlState } from './client.ts'

/** Makes the primary send its log up to here. Works at `wal_level = replica`, and as an ordinary user. */
export async function flushHeartbeat(client: QueryClient): Promise<void> {
  try {
    await client.query(EMIT_SQL)
  } catch (error) {
    // Before PostgreSQL 17 the function does not take `flush`; some hosts do not let ordinary users call it.
    if (sqlState(error) !== '42883' && sqlState(error) !== '42501') throw error
    await client.query(MARK_SQL)
  }
}

const EMIT_SQL = `select pg_logical_emit_message(false, 'fourfold', '', true)`

// `local`: flushed here, without waiting for a synchronous standby that may be away. The two statements are one
// transaction because they travel as one text; with BEGIN, a failure would leave it open.
const MARK_SQL = `set local synchronous_commit = local; update fourfold.heartbeat set beat = beat + 1`
