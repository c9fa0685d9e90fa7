/**
 * How many connections each process may open: what a server's max_connections allows, shared by all processes. An
 * error at start is better than "too many clients" under the first load.
 */

import pg from 'pg'

import { FourfoldError } from '../../core/errors.ts'
import { withDeadline } from '../../core/deadline.ts'

import type { PostgresAddress } from './address.ts'

const mostPerProcess = 20
const leastPerProcess = 2
/** For people with psql and for probes. */
const keptFree = 6

export interface PoolSizeOptions {
  readonly name: string
  readonly address: PostgresAddress
  readonly processes: number
  readonly configured: number | undefined
  /** Connections that each process has on the server beside its pool. Default: 0. */
  readonly aside?: number
  /** Connections that some of them have besides, in all. Default: 0. */
  readonly besides?: number
  readonly timeoutMs: number
}

/** @throws FF_DATABASE_POOL_SIZE when the pools of all processes cannot fit */
export async function choosePoolSize(options: PoolSizeOptions): Promise<number> {
  const { name, processes, configured, aside = 0, besides = 0 } = options
  const max = await readMaxConnections(options)
  // One more connection of each process is kept aside for positions.
  const fair = Math.floor((max - keptFree - besides) / processes) - 1 - aside
  const size = configured ?? Math.min(mostPerProcess, fair)
  if (size <= fair && size >= Math.min(leastPerProcess, configured ?? leastPerProcess)) return size
  throw new FourfoldError(
    'FF_DATABASE_POOL_SIZE',
    `databases.${name}.poolSize: ${processes} processes with ${configured ?? leastPerProcess} connections each, and ${keptFree} ` +
      `kept free, need more than the server's max_connections of ${max}. Raise max_connections, lower clones.max, or ` +
      `set databases.${name}.poolSize to at most ${Math.max(fair, 0)}`,
    { fields: { database: name, processes, maxConnections: max, fair } },
  )
}

async function readMaxConnections({ address, timeoutMs, name }: PoolSizeOptions): Promise<number> {
  const client = new pg.Client({ ...address, connectionTimeoutMillis: timeoutMs })
  client.on('error', () => undefined)
  try {
    await client.connect()
    const sql = `select current_setting('max_connections')::int as max`
    const { rows } = await withDeadline(client.query<{ max: number }>(sql), timeoutMs, `database ${name}`)
    return rows[0]?.max ?? 100
  } catch (error) {
    throw new FourfoldError('FF_DATABASE_UNAVAILABLE', `Database ${name} cannot be reached: ${String(error)}`, {
      cause: error,
    })
  } finally {
    client.end().catch(() => undefined)
  }
}
