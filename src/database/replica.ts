/**
 * One replica address: a pool whose connections each know what their server had replayed when they last asked.
 *
 * Invariants (FRESHNESS rules 18 and 21):
 * - A replay position belongs to the connection it was read on and dies with it. The address may be a balanced
 *   endpoint, where each connection leads to another server.
 * - A statement is sent only after a replay position read on the same connection met what the reader needs.
 * - Every call has a deadline. A replica that does not answer is left out, and comes back by itself.
 */

import { isConnectionLost, isReusable } from '../engines/postgres/connection-errors.ts'
import { parseReplayPosition, REPLAY_POSITION_SQL, type ReplayPositionRow } from '../engines/postgres/positions.ts'
import { cutConnection, isPoolBusy } from '../engines/postgres/pools.ts'
import { withDeadline } from '../core/deadline.ts'

import type { Logger } from '../core/log.ts'
import type { ReplayPosition } from '../engines/position.ts'
import type pg from 'pg'

/** What a connection must have replayed; asked anew each time, as both sides move. */
export type Eligible = (replay: ReplayPosition) => boolean

export interface ReplicaOptions {
  readonly name: string
  /** Gives a connection within its own deadline, or an error. */
  readonly pool: pg.Pool
  /** A connection outside the pool. */
  readonly createProbe: () => pg.Client
  readonly replicaWaitMs: number
  /** How long a position query or a probe may take before the replica counts as down. */
  readonly probeTimeoutMs: number
  readonly nowMs: () => number
  readonly log: Logger
}

const pollEveryMs = 2
const minDownMs = 100
const maxDownMs = 2_000
const probeEveryMs = 1_000

export class Replica {
  readonly name: string
  inFlight = 0
  readonly #options: ReplicaOptions
  readonly #replay = new WeakMap<pg.ClientBase, ReplayPosition>()
  readonly #busy = new Set<pg.PoolClient>()
  #newest: ReplayPosition | null = null
  #downForMs = 0
  #down = false
  #timer: NodeJS.Timeout | null = null
  #closed = false

  constructor(options: ReplicaOptions) {
    this.name = options.name
    this.#options = options
    // A connection that is lost while idle: the pool drops it, and its position with it.
    options.pool.on('error', () => this.#markDown('an idle connection was lost'))
    this.#schedule(probeEveryMs)
  }

  /** Whether statements may be tried here. */
  get up(): boolean {
    return !this.#down && !this.#closed
  }

  /** The newest replay position any connection has seen: a hint for choosing among replicas, never a proof. */
  get newest(): ReplayPosition | null {
    return this.#newest
  }

  /**
   * A connection that meets what the reader needs, or null: too far behind, or away. Waits at most `replicaWait`.
   * `onWait` is called once if the replica was behind when asked.
   */
  acquire(eligible: Eligible, onWait: () => void): Promise<pg.PoolClient | null> {
    // One promise and no timer beside the pool's own: every routed read passes here.
    return new Promise((resolve) => {
      this.#options.pool.connect((error, client) => {
        if (client === undefined) {
          this.#refused(error)
          return resolve(null)
        }
        this.#busy.add(client)
        const known = this.#replay.get(client)
        resolve(known !== undefined && eligible(known) ? client : this.#catchUp(client, eligible, onWait))
      })
    })
  }

  release(client: pg.PoolClient): void {
    this.#busy.delete(client)
    client.release()
  }

  /** Gives a connection back after an error; a lost one is destroyed and the replica is left out for a while. */
  fail(client: pg.PoolClient, error: unknown): void {
    this.#busy.delete(client)
    const lost = isConnectionLost(error)
    client.release(!isReusable(error))
    if (lost) this.#markDown(String(error))
  }

  async close(): Promise<void> {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#options.pool.end()
  }

  /** No connection came within the pool's deadline. A pool that is only busy does not count as down. */
  #refused(error: unknown): void {
    const busy = this.#busy.size > 0 && isPoolBusy(error)
    if (!busy) this.#markDown(String(error))
  }

  /** Asks how far the connection's server is until it meets what the reader needs, or gives the connection back. */
  async #catchUp(client: pg.PoolClient, eligible: Eligible, onWait: () => void): Promise<pg.PoolClient | null> {
    try {
      if (await this.#meets(client, eligible, onWait)) return client
      this.release(client)
    } catch (error) {
      this.fail(client, error)
    }
    return null
  }

  async #meets(client: pg.PoolClient, eligible: Eligible, onWait: () => void): Promise<boolean> {
    const until = this.#options.nowMs() + this.#options.replicaWaitMs
    for (let asked = 0; ; asked += 1) {
      const replay = await this.#ask(client)
      if (replay === null) return false
      if (eligible(replay)) return true
      if (asked === 0) onWait()
      if (this.#options.nowMs() >= until) return false
      await new Promise((resolve) => setTimeout(resolve, pollEveryMs))
    }
  }

  async #ask(client: pg.ClientBase): Promise<ReplayPosition | null> {
    const { rows } = await withDeadline(
      client.query(REPLAY_POSITION_SQL),
      this.#options.probeTimeoutMs,
      `the replay position of replica ${this.name}`,
    )
    const replay = parseReplayPosition(rows[0] as ReplayPositionRow | undefined)
    if (replay === null) {
      this.#replay.delete(client)
      return null
    }
    this.#replay.set(client, replay)
    this.#newest = replay
    return replay
  }

  #markDown(why: string): void {
    if (this.#closed) return
    this.#downForMs = Math.min(maxDownMs, Math.max(minDownMs, this.#downForMs * 2))
    if (!this.#down) this.#options.log.warn({ replica: this.name, why }, 'replica left out')
    this.#down = true
    this.#newest = null
    // Statements that wait on a server that hangs are cut here, and run again on the primary.
    for (const client of this.#busy) cutConnection(client)
    this.#schedule(this.#downForMs)
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.#closed) return
    this.#timer = setTimeout(() => {
      void this.#probe().then(() => {
        if (!this.#down) this.#schedule(probeEveryMs)
      })
    }, delayMs)
    this.#timer.unref()
  }

  /** On a connection of its own, so that a busy pool is not mistaken for a dead server. */
  async #probe(): Promise<void> {
    const { createProbe, probeTimeoutMs, log } = this.#options
    const client = createProbe()
    client.on('error', () => undefined)
    try {
      await withDeadline(client.connect(), probeTimeoutMs, `replica ${this.name}`)
      const replay = await this.#ask(client)
      if (replay === null) return this.#markDown('it has replayed no epoch of this database yet')
      if (this.#down) log.info({ replica: this.name }, 'replica is back')
      this.#down = false
      this.#downForMs = 0
    } catch (error) {
      this.#markDown(String(error))
    } finally {
      client.end().catch(() => undefined)
    }
  }
}
