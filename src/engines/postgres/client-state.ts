/** What pg knows about a client and does not publish in its types. Nothing else in Fourfold reads pg's own fields. */

import type pg from 'pg'

/** Whether a connection may be handed out again: no transaction is open on it and nothing runs. */
export function isAtRest(client: Pick<pg.Client, 'getTransactionStatus'>): boolean {
  const { _activeQuery: active, _queryQueue: queued } = client as unknown as {
    readonly _activeQuery: unknown
    readonly _queryQueue: readonly unknown[]
  }
  return client.getTransactionStatus() === 'I' && !active && queued.length === 0
}

/** Whether a statement is under way. */
export function isWorking(client: pg.ClientBase): boolean {
  const { _activeQuery: active } = client as unknown as { readonly _activeQuery: unknown }
  return Boolean(active)
}

/** Cuts a connection at once: what waits on it fails, and the pool drops it. For servers that hang. */
export function cutConnection(client: pg.ClientBase): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}

const endGraceMs = 1_000

/** Ends a connection, and cuts it where the server does not answer: pg alone would wait for it for ever. */
export async function endClient(client: pg.Client): Promise<void> {
  const timer = setTimeout(() => cutConnection(client), endGraceMs)
  await client.end().catch(() => undefined)
  clearTimeout(timer)
}

/** Changes the deadline that a client gives each statement: a timer for each. 0: none. */
export function setQueryTimeout(client: pg.ClientBase, ms: number): void {
  const { connectionParameters } = client as unknown as { connectionParameters: { query_timeout: number } }
  connectionParameters.query_timeout = ms
}

/** Whether a client sends statements without waiting for the answers of those before. */
export function setPipelining(client: Pick<pg.Client, 'pipeline'>, on: boolean): void {
  const mode = client as { pipeline: boolean }
  mode.pipeline = on
}
