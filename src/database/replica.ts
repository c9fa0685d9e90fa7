/**
 * One replica address: who may be asked there, and whether it is up.
 *
 * Invariants (FRESHNESS rules 18 and 21):
 * - A replay position belongs to the connection it was read on and dies with it. The address may be a balanced
 *   endpoint, where each connection leads to another server.
 * - A statement is sent only after a replay position read on the same connection met what the reader needs.
 * - Every call has a deadline. A replica that does not answer is left out, and comes back by itself.
 * - A statement that waits for long is either slow or lost. Probes tell: where its server answers one, it is slow. Where
 *   it does not, its connection is cut, and the read runs again on the primary.
 */

import type pg from 'pg'

import { withDeadline } from '../core/deadline.ts'
import { sqlState } from '../engines/postgres/client.ts'
import { cutConnection } from '../engines/postgres/client-state.ts'
import { isConnectionLost, isReusable } from '../engines/postgres/connection-errors.ts'
import { parseReplayPosition, REPLAY_POSITION_SQL, type ReplayPositionRow } from '../engines/postgres/positions.ts'
import {
  ReplicaConnections,
  type Eligible,
  type Refusal,
  type ReplicaConnection,
} from '../engines/postgres/replica-connections.ts'

import type { Logger } from '../core/log.ts'
import type { ReplayPosition } from '../engines/position.ts'

export interface ReplicaOptions {
  readonly name: string
  readonly maxConnections: number
  /** Makes a client that is not connected yet, with a deadline for connecting. */
  readonly createClient: () => pg.Client
  /** After this a statement's connection is cut. */
  readonly statementMs: number
  /** How long a read waits for a connection while all are in use. */
  readonly connectionWaitMs: number
  readonly replicaWaitMs: number
  /** How long a position query or a probe may take before the replica counts as down. */
  readonly probeTimeoutMs: number
  readonly nowMs: () => number
  readonly log: Logger
}

/** What a connection's server says of itself. */
interface Answer {
  readonly replay: ReplayPosition | null
  readonly server: string | null
}

/** Told of a connection that meets what the reader needs, or null: too far behind, or away. */
export type OnAcquired = (connection: ReplicaConnection | null) => void

const pollEveryMs = 2
/** A statement that waits this long has its server looked at. */
const silentMs = 1_000
/** Behind one address there may be several servers; so many probes at once, as each may come to another. */
const probesAtOnce = 3
const maxUnproved = 3
const minDownMs = 100
const tooManyConnections = '53300'
const maxDownMs = 2_000
const probeEveryMs = 1_000
const idleMs = 60_000

export class Replica {
  readonly name: string
  inFlight = 0
  readonly #options: ReplicaOptions
  readonly #connections: ReplicaConnections
  #newest: ReplayPosition | null = null
  #downForMs = 0
  /** `suspect`: something failed and a probe is under way; nothing new is sent there, and what runs goes on. */
  #state: 'up' | 'suspect' | 'down' | 'closed' = 'up'
  #answered = false
  #timer: NodeJS.Timeout | null = null

  constructor(options: ReplicaOptions) {
    this.name = options.name
    this.#options = options
    this.#connections = new ReplicaConnections({
      max: options.maxConnections,
      create: options.createClient,
      waitMs: options.connectionWaitMs,
      statementMs: options.statementMs,
      idleMs,
      onIdleLost: () => this.#suspect('an idle connection was lost'),
    })
    this.#schedule(probeEveryMs)
  }

  /** Whether statements may be tried here. */
  get up(): boolean {
    return this.#state === 'up'
  }

  /** The newest replay position any connection has seen: a hint for choosing among replicas, never a proof. */
  get newest(): ReplayPosition | null {
    return this.#newest
  }

  /**
   * Brings a connection that meets what the reader needs; `then` may be called at once, so that a read costs no promise
   * here. Waits for replay at most `replicaWait`. `onWait` is called once if the replica was behind when asked.
   */
  acquire(eligible: Eligible, onWait: () => void, then: OnAcquired): void {
    const known = this.#connections.takeEligible(eligible)
    if (known !== null) return then(known)
    this.#connections.take((connection, refusal) => {
      if (connection === null) {
        this.#refused(refusal)
        then(null)
      } else if (connection.replay !== null && eligible(connection.replay)) then(connection)
      else void this.#catchUp(connection, eligible, onWait).then(then)
    })
  }

  /** Gives a connection back after an answer. */
  release(connection: ReplicaConnection): void {
    this.#answered = true
    this.#connections.give(connection)
  }

  /** Gives a connection back after an error; a lost one is ended, and the replica is looked at. */
  fail(connection: ReplicaConnection, error: unknown): void {
    if (isReusable(error)) this.#connections.give(connection)
    else this.#connections.drop(connection)
    if (isConnectionLost(error)) this.#suspect(String(error))
  }

  /** The holder keeps the connection for several statements. */
  keep(connection: ReplicaConnection): void {
    this.#connections.keep(connection)
  }

  async close(): Promise<void> {
    this.#state = 'closed'
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#connections.close()
  }

  #refused(refusal: Refusal | null): void {
    if (refusal?.why === 'unreachable') this.#suspect(String(refusal.error))
  }

  /** Asks how far the connection's server is until it meets what the reader needs, or gives the connection back. */
  async #catchUp(
    connection: ReplicaConnection,
    eligible: Eligible,
    onWait: () => void,
  ): Promise<ReplicaConnection | null> {
    try {
      if (await this.#meets(connection, eligible, onWait)) return connection
      this.release(connection)
    } catch (error) {
      this.fail(connection, error)
    }
    return null
  }

  async #meets(connection: ReplicaConnection, eligible: Eligible, onWait: () => void): Promise<boolean> {
    const until = this.#options.nowMs() + this.#options.replicaWaitMs
    for (let asked = 0; ; asked += 1) {
      const answer = await this.#ask(connection.client)
      connection.replay = answer.replay
      connection.server = answer.server
      if (connection.replay === null) return false
      if (eligible(connection.replay)) return true
      if (asked === 0) onWait()
      if (this.#options.nowMs() >= until) return false
      await new Promise((resolve) => setTimeout(resolve, pollEveryMs))
    }
  }

  async #ask(client: pg.ClientBase): Promise<Answer> {
    const { rows } = await withDeadline(
      client.query(REPLAY_POSITION_SQL),
      this.#options.probeTimeoutMs,
      `the replay position of replica ${this.name}`,
    )
    const row = rows[0] as ReplayPositionRow | undefined
    const replay = parseReplayPosition(row)
    if (replay !== null) this.#newest = replay
    return { replay, server: row?.server ?? null }
  }

  /** One connection says little about the server: a probe decides, at once. */
  #suspect(why: string): void {
    if (this.#state !== 'up') return
    this.#options.log.debug({ replica: this.name, why }, 'replica probed')
    this.#state = 'suspect'
    this.#schedule(0)
  }

  #markDown(why: string, full = false): void {
    if (this.#state === 'closed') return
    this.#downForMs = Math.min(maxDownMs, Math.max(minDownMs, this.#downForMs * 2))
    if (this.#state !== 'down') this.#options.log.warn({ replica: this.name, why }, 'replica left out')
    this.#state = 'down'
    this.#newest = null
    // Statements that wait on a server that hangs are cut here, and run again on the primary. Idle connections may be
    // as dead without knowing it. A server that is full answers those it has.
    if (!full) this.#connections.cutAll()
    this.#schedule(this.#downForMs)
  }

  #schedule(delayMs: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.#state === 'closed') return
    this.#timer = setTimeout(() => void this.#check(), delayMs)
    this.#timer.unref()
  }

  async #check(): Promise<void> {
    const answered = this.#answered
    this.#answered = false
    const silent = this.#connections.silentFor(silentMs)
    // Who has just answered needs no probe.
    if (this.#state !== 'up' || !answered || silent.length > 0) await this.#probe(silent)
    if (this.#state === 'up') this.#schedule(probeEveryMs)
  }

  async #probe(silent: readonly ReplicaConnection[]): Promise<void> {
    const probes = Array.from({ length: silent.length > 0 ? probesAtOnce : 1 }, () => this.#probeOnce())
    const results = await Promise.allSettled(probes)
    if (this.#state === 'closed') return
    const answers = results.filter((result) => result.status === 'fulfilled').map(({ value }) => value)
    const failure = results.find((result) => result.status === 'rejected')
    if (answers.length === 0) {
      return this.#markDown(String(failure?.reason), sqlState(failure?.reason) === tooManyConnections)
    }
    if (answers.every(({ replay }) => replay === null)) {
      return this.#markDown('it has replayed no epoch of this database yet')
    }
    if (this.#state === 'down') this.#options.log.info({ replica: this.name }, 'replica is back')
    this.#state = 'up'
    this.#downForMs = 0
    const alive = new Set(answers.map(({ server }) => server))
    for (const connection of silent) this.#judge(connection, alive, failure !== undefined)
  }

  /** A statement waits: it goes on where its server is alive. */
  #judge(connection: ReplicaConnection, alive: ReadonlySet<string | null>, oneFailed: boolean): void {
    if (alive.has(connection.server)) return
    connection.unproved += 1
    if (!oneFailed && connection.unproved < maxUnproved) return
    this.#options.log.warn({ replica: this.name }, 'a server behind this replica does not answer: a connection is cut')
    cutConnection(connection.client)
  }

  /** On a connection of its own, so that a busy replica is not mistaken for a dead server. */
  async #probeOnce(): Promise<Answer> {
    const { createClient, probeTimeoutMs } = this.#options
    const client = createClient()
    client.on('error', () => undefined)
    try {
      await withDeadline(client.connect(), probeTimeoutMs, `replica ${this.name}`)
      return await this.#ask(client)
    } finally {
      client.end().catch(() => undefined)
    }
  }
}
