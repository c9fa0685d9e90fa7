/** Pools of connections to one server, with deadlines on everything. */

import pg from 'pg'

import { cutConnection } from './client-state.ts'
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

/** After this a statement's connection is worth nothing. */
export function statementCutMs(limits: PoolLimits): number {
  return limits.statementTimeoutMs + serverGraceMs
}

function options(address: PostgresAddress, limits: PoolLimits): pg.PoolConfig {
  return {
    ...address,
    max: limits.max,
    connectionTimeoutMillis: limits.connectTimeoutMs,
    statement_timeout: limits.statementTimeoutMs,
    query_timeout: statementCutMs(limits),
    application_name: limits.applicationName,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
  }
}

const endGraceMs = 1_000

/**
 * A pool that loses no connection out of sight: a client that dies in its holder's hands fails its statements and not
 * the process, and ending waits for statements only so long, then cuts what is left.
 */
class BoundedPool extends pg.Pool {
  readonly #clients = new Set<pg.ClientBase>()

  constructor(config: pg.PoolConfig) {
    super(config)
    this.on('connect', (client) => {
      this.#clients.add(client)
      client.on('error', () => undefined)
    })
    this.on('remove', (client) => this.#clients.delete(client))
  }

  override async end(): Promise<void> {
    const { promise: cut, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      for (const client of this.#clients) cutConnection(client)
      resolve()
    }, endGraceMs)
    // A client that nobody gives back, or that still connects, stays the pool's; its connection does not.
    await Promise.race([super.end(), cut]).finally(() => clearTimeout(timer))
  }
}

/** A pool on the primary, whose clients tell of commits. */
export function createPrimaryPool(address: PostgresAddress, limits: PoolLimits, classifier: Classifier): pg.Pool {
  const pool = new BoundedPool({
    ...options(address, limits),
    Client: TrackedClient as unknown as typeof pg.Client,
  } as pg.PoolConfig)
  pool.on('connect', (client) => {
    ;(client as unknown as TrackedClient).classifier = classifier
  })
  return pool
}

/** One connection outside any pool. */
export function createClient(address: PostgresAddress, limits: PoolLimits): pg.Client {
  return new pg.Client({ ...options(address, limits) })
}

/** A pool whose clients tell nobody of commits: for Fourfold's own tables. */
export function createOwnPool(address: PostgresAddress, limits: PoolLimits): pg.Pool {
  return new BoundedPool(options(address, limits))
}
