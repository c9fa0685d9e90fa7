/** Short-lived connections to the embedded servers, for their own upkeep. */

import pg from 'pg'

import type { PostgresAddress } from '../address.ts'
import { clusterUser } from './settings.ts'

/** The address of a server of the cluster. */
export function socketAddress(sockets: string, port: number, database: string): PostgresAddress {
  return { host: sockets, port, user: clusterUser, database }
}

/** Runs work on a connection that is closed afterwards. Connecting and each statement have a deadline. */
export async function onConnection<T>(
  address: PostgresAddress,
  work: (client: pg.Client) => Promise<T>,
  { connectMs = 5_000, statementMs = 5_000 }: { connectMs?: number; statementMs?: number } = {},
): Promise<T> {
  const client = new pg.Client({
    ...(address as pg.ClientConfig),
    connectionTimeoutMillis: connectMs,
    query_timeout: statementMs,
    application_name: 'fourfold-upkeep',
  })
  // A server that is killed reports here; the statement under way fails by itself.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await work(client)
  } finally {
    void client.end().catch(() => undefined)
  }
}
