/**
 * The little that the engine needs of a connection, and what a replica's refusals look like.
 *
 * Everything here that takes a `QueryClient` means one connection, not a pool: transactions and positions belong to
 * the connection they were read on.
 */

export interface QueryClient {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>
}

/** PostgreSQL's SQLSTATE of an error, or null where the error did not come from a server. */
export function sqlState(error: unknown): string | null {
  if (typeof error !== 'object' || error === null || !('code' in error)) return null
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : null
}

/**
 * Whether a standby refused a statement that the primary may still answer. The classifier works on the text alone:
 * a view can hide nextval(), a table can be unlogged, and replay can cancel a query. Such statements had no effect.
 */
export function isReplicaRefusal(error: unknown): boolean {
  const state = sqlState(error)
  if (state === null) return false
  if (replicaRefusals.has(state)) return true
  // One SQLSTATE for everything unsupported: only the wording tells unlogged tables and NOTIFY on a standby apart.
  return state === '0A000' || state === '55000' ? /recovery/.test(messageOf(error)) : false
}

const replicaRefusals: ReadonlySet<string> = new Set([
  '25006', // read_only_sql_transaction: the statement would have written
  '40001', // serialization_failure: cancelled by a conflict with recovery
  '40P01', // deadlock_detected: with the recovery process
  '57P01', // admin_shutdown: the connection was cut for a conflict, or the standby stops
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now: still starting
  '57P04', // database_dropped
  '3D000', // invalid_catalog_name: the database is not replayed yet
  '42P01', // undefined_table: not replayed yet, or only there on the primary
  '3F000', // invalid_schema_name: likewise
  '42703', // undefined_column: likewise
  '42883', // undefined_function: likewise
  '42704', // undefined_object: likewise
])

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ''
}
