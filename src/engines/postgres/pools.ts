/** Pools of connections to one server, with deadlines on everything. */

import pg from 'pg'

import { TrackedClient } from './tracked-client.ts'

import type { Classifier } from './classify.ts'
import type { PostgresAddress } from './address.ts'

export interface PoolLimits {
  readonly max: number
  readonly connectTimeoutMs: number
  /** After this the statement is cancelled by the server, and a little later the connection is given up. */
  readonly statementTimeoutMs: number
  readonly applicationName: string
}

/** The server cancels first; only a server that hangs lets this pass, and then the connection is worth nothing. */
const serverGraceMs = 1_000

function options(address: PostgresAddress, limits: PoolLimits): pg.PoolConfig {
  return {
    ...address,
    max: limits.max,
    connectionTimeoutMillis: limits.connectTimeoutMs,
    statement_timeout: limits.statementTimeoutMs,
    query_timeout: limits.statementTimeoutMs + serverGraceMs,
    application_name: limits.applicationName,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
  }
}

/** A pool on the primary, whose clients tell of commits. */
export function createPrimaryPool(address: PostgresAddress, limits: PoolLimits, classifier: Classifier): pg.Pool {
  const pool = new pg.Pool({ ...options(address, limits), Client: TrackedClient as unknown as typeof pg.Client } as pg.PoolConfig)
  pool.on('connect', (client) => {
    ;(client as unknown as TrackedClient).classifier = classifier
  })
  return pool
}

/** A pool on a replica, or on an endpoint behind which there are several. */
export function createReplicaPool(address: PostgresAddress, limits: PoolLimits): pg.Pool {
  return new pg.Pool(options(address, limits))
}

/** One connection outside any pool, for probes. */
export function createClient(address: PostgresAddress, limits: PoolLimits): pg.Client {
  return new pg.Client({ ...options(address, limits) })
}

/** Cuts a connection at once: what waits on it fails, and the pool drops it. For servers that hang. */
export function cutConnection(client: pg.ClientBase): void {
  const { connection } = client as unknown as { connection: { stream: { destroy(): void } } }
  connection.stream.destroy()
}
