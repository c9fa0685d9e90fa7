/**
 * The primary of one database: statements that write or that no replica may answer, positions and heartbeats.
 *
 * A connection that is lost under a statement is FF_DATABASE_CONNECTION_LOST, and FF_DATABASE_UNAVAILABLE is one that
 * never came: after the first nobody knows whether a write took place, so only reads are sent again here.
 */

import type pg from 'pg'

import { withDeadline } from '../core/deadline.ts'
import { FourfoldError } from '../core/errors.ts'
import { isAtRest } from '../engines/postgres/client-state.ts'
import { isConnectionCut, isReusable } from '../engines/postgres/connection-errors.ts'
import { flushHeartbeat } from '../engines/postgres/heartbeat.ts'
import { createPrimaryPool, type PoolLimits } from '../engines/postgres/pools.ts'
import { readWritePosition } from '../engines/postgres/positions.ts'

import type { Logger } from '../core/log.ts'
import type { PostgresAddress } from '../engines/postgres/address.ts'
import type { Classifier } from '../engines/postgres/classify.ts'
import type { QueryClient } from '../engines/postgres/client.ts'
import type { Statement } from '../engines/postgres/routed-pool.ts'
import type { CommitObserver, TrackedClient } from '../engines/postgres/tracked-client.ts'
import type { WritePosition } from '../engines/position.ts'

export interface PrimaryOptions {
  /** The database's name. */
  readonly name: string
  readonly address: PostgresAddress
  readonly limits: PoolLimits
  /** How many of the connections are kept for fills of the cache. Default 0. */
  readonly fillConnections?: number
  readonly classifier: Classifier
  readonly log: Logger
}

const positionTimeoutMs = 2_000
const heartbeatAfterMs = 20
/** A server that broke down left a pool full of dead connections; the next is most likely a new one. */
const maxReadAttempts = 3

export class Primary {
  readonly #options: PrimaryOptions
  readonly #pool: pg.Pool
  /** One connection aside for positions: a pool that the app keeps busy must not look like a primary that is down. */
  readonly #aside: pg.Pool
  /**
   * Connections on which nothing but reads of fills ever runs: on others somebody may have changed a setting, or made a
   * temporary table, and what is read there may be true for them alone.
   */
  readonly #fills: pg.Pool | null
  #heartbeat: NodeJS.Timeout | null = null
  #closed = false

  constructor(options: PrimaryOptions) {
    const { address, limits, classifier, log, name } = options
    this.#options = options
    const fills = options.fillConnections ?? 0
    this.#pool = createPrimaryPool(address, { ...limits, max: Math.max(1, limits.max - fills) }, classifier)
    this.#aside = createPrimaryPool(address, { ...limits, max: 1 }, classifier)
    this.#fills = fills > 0 ? createPrimaryPool(address, { ...limits, max: fills }, classifier) : null
    for (const pool of this.#pools()) {
      pool.on('error', (error) => log.debug({ error, database: name }, 'an idle connection to the primary was lost'))
    }
  }

  /** Runs a statement that may write, once. The observer, if any, is told of its commit before this resolves. */
  async write(
    observer: CommitObserver | null,
    statement: Statement,
    values: readonly unknown[] | undefined,
  ): Promise<pg.QueryResult> {
    const client = await this.checkout(observer)
    try {
      const result = await client.query(statement as string, values as unknown[])
      client.release()
      return result
    } catch (error) {
      client.release(!isReusable(error))
      throw error
    }
  }

  /** Runs a statement that only reads; again where its connection was lost. */
  async read(
    observer: CommitObserver | null,
    statement: Statement,
    values: readonly unknown[] | undefined,
  ): Promise<pg.QueryResult> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.write(observer, statement, values)
      } catch (error) {
        if (attempt === maxReadAttempts || !isConnectionCut(error)) throw error
      }
    }
  }

  /** Runs a statement that only reads on a connection that nobody has changed. */
  async fill(statement: Statement, values: readonly unknown[] | undefined): Promise<pg.QueryResult> {
    for (let attempt = 1; ; attempt += 1) {
      const client = await this.#connect(this.#fills ?? this.#pool)
      try {
        const result = await client.query(statement as string, values as unknown[])
        client.release()
        return result
      } catch (error) {
        client.release(!isReusable(error))
        if (attempt === maxReadAttempts || !isConnectionCut(error)) throw error
      }
    }
  }

  /** A client for a transaction or for connection state; tells the observer of its commits until it is released. */
  async checkout(observer: CommitObserver | null): Promise<pg.PoolClient> {
    const client = await this.#connect(this.#pool)
    const tracked = client as unknown as TrackedClient
    tracked.observer = observer
    const release = client.release.bind(client)
    client.release = (error) => {
      tracked.observer = null
      client.release = release
      // An open transaction must not go back to the pool: its next holder would write into it.
      release(error || !isAtRest(tracked))
    }
    return client
  }

  /** The position now. */
  async readPosition(): Promise<WritePosition> {
    return await this.#beside(readWritePosition, `the position of database ${this.#options.name}`)
  }

  /** An idle primary may keep the end of its log to itself for a while: one small flushed message brings it out, soon. */
  scheduleHeartbeat(): void {
    this.#heartbeat ??= setTimeout(() => {
      void this.#beat().finally(() => {
        this.#heartbeat = null
      })
    }, heartbeatAfterMs)
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#heartbeat !== null) clearTimeout(this.#heartbeat)
    await Promise.all(this.#pools().map((pool) => pool.end()))
  }

  #pools(): pg.Pool[] {
    return this.#fills === null ? [this.#pool, this.#aside] : [this.#pool, this.#aside, this.#fills]
  }

  async #beat(): Promise<void> {
    try {
      await this.#beside(flushHeartbeat, 'a heartbeat')
    } catch (error) {
      this.#options.log.debug({ error, database: this.#options.name }, 'heartbeat not flushed')
    }
  }

  async #beside<T>(work: (client: QueryClient) => Promise<T>, what: string): Promise<T> {
    const client = await this.#connect(this.#aside)
    const tracked = client as unknown as TrackedClient
    try {
      const result = await withDeadline(
        work({ query: (sql, values) => tracked.plain(sql, values) }),
        positionTimeoutMs,
        what,
      )
      client.release()
      return result
    } catch (error) {
      client.release(true)
      throw error
    }
  }

  async #connect(pool: pg.Pool): Promise<pg.PoolClient> {
    const { name } = this.#options
    if (this.#closed) throw new FourfoldError('FF_CORE_CLOSED', `Database ${name} is closed: open the app again`)
    try {
      return await pool.connect()
    } catch (error) {
      const message = `The primary of database ${name} cannot be reached: ${String(error)}`
      throw new FourfoldError('FF_DATABASE_UNAVAILABLE', message, { cause: error, fields: { database: name } })
    }
  }
}
