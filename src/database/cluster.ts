/**
 * One database: a primary, its replicas, and the rules that decide who answers a statement.
 *
 * A statement goes to a replica only if all of this holds; else the primary answers:
 * - it is provably read-only;
 * - the reader's level allows it, and neither reader nor store is unsettled;
 * - the replica's connection has replayed the reader's token, in the epoch of the primary;
 * - that connection's position is at most `maxStaleness` old by this process's own clock.
 *
 * A read that fails on a replica through no fault of its own runs again on the primary.
 */

import { Replica } from './replica.ts'
import { PositionMonitor } from './position-monitor.ts'
import { mayUseReplica, type Level } from '../freshness/level.ts'
import { TokenStore, type Requirement } from '../freshness/token-store.ts'
import { isReplicaFault, isReusable } from '../engines/postgres/connection-errors.ts'
import {
  createClient,
  createPrimaryPool,
  createReplicaPool,
  isAtRest,
  runOn,
  type PoolLimits,
} from '../engines/postgres/pools.ts'
import { flushHeartbeat } from '../engines/postgres/heartbeat.ts'
import { readWritePosition } from '../engines/postgres/positions.ts'
import { FourfoldError } from '../core/errors.ts'
import { withDeadline } from '../core/deadline.ts'

import type { Classifier } from '../engines/postgres/classify.ts'
import type { PostgresAddress } from '../engines/postgres/address.ts'
import type { Statement } from '../engines/postgres/routed-pool.ts'
import type { TrackedClient } from '../engines/postgres/tracked-client.ts'
import type { Scope } from '../freshness/scope.ts'
import type { ReplayPosition, WritePosition } from '../engines/position.ts'
import type { Store } from '../store/store.ts'
import type { Logger } from '../core/log.ts'
import type pg from 'pg'

export interface ClusterOptions {
  readonly name: string
  readonly primary: PostgresAddress
  readonly replicas: readonly { readonly name: string; readonly address: PostgresAddress }[]
  readonly classifier: Classifier
  readonly store: Store
  readonly poolSize: number
  readonly replicaWaitMs: number
  readonly maxStalenessMs: number
  readonly statementTimeoutMs: number
  readonly connectTimeoutMs: number
  /** The level of reads whose scope names none. */
  readonly level: Level
  readonly onPrimaryDown: 'serve' | 'refuse'
  readonly log: Logger
  readonly nowMs?: () => number
}

/** Counts since the process began. */
export interface ClusterCounts {
  replicaReads: number
  primaryReads: number
  /** Commits that wrote. */
  primaryWrites: number
  /** Reads that waited for a replica in vain and went to the primary. */
  replicaTooOld: number
  /** Reads that failed on a replica and were answered by the primary. */
  replicaFaults: number
  /** Reads answered by a replica whose age is unknown, because the primary is down. */
  servedWhilePrimaryDown: number
}

/** What a read needs of a replica: a position, nothing beyond its age, or no replica at all. */
type Needed = Requirement | 'any' | 'primary'

const positionIntervalMs = 1_000
const positionTimeoutMs = 2_000
const replicaProbeTimeoutMs = 1_000
const heartbeatAfterMs = 20
const minTokenTtlMs = 10 * 60_000

export class Cluster {
  readonly name: string
  readonly tokens: TokenStore
  readonly monitor: PositionMonitor
  readonly counts: ClusterCounts = {
    replicaReads: 0,
    primaryReads: 0,
    primaryWrites: 0,
    replicaTooOld: 0,
    replicaFaults: 0,
    servedWhilePrimaryDown: 0,
  }
  readonly #options: ClusterOptions
  readonly #primary: pg.Pool
  /** One connection aside for positions: a pool that the app keeps busy must not look like a primary that is down. */
  readonly #aside: pg.Pool
  readonly #replicas: readonly Replica[]
  readonly #onWait = (): void => this.#scheduleHeartbeat()
  #heartbeat: NodeJS.Timeout | null = null
  #closing: Promise<void> | null = null

  constructor(options: ClusterOptions) {
    const nowMs = options.nowMs ?? (() => performance.now())
    const { name, log, store } = options
    this.name = name
    this.#options = options
    this.#primary = createPrimaryPool(options.primary, this.#limits(), options.classifier)
    this.#aside = createPrimaryPool(options.primary, { ...this.#limits(), max: 1 }, options.classifier)
    for (const pool of [this.#primary, this.#aside]) {
      pool.on('error', (error) => log.debug({ error, database: name }, 'an idle connection to the primary was lost'))
    }
    const readPosition = (): Promise<WritePosition> => this.readPosition()
    this.monitor = new PositionMonitor({
      read: readPosition,
      intervalMs: positionIntervalMs,
      maxStalenessMs: options.maxStalenessMs,
      nowMs,
      log: log.child({ database: name }),
    })
    this.tokens = new TokenStore({
      store,
      database: name,
      readPosition,
      currentEpoch: () => this.monitor.epoch,
      ttlMs: Math.max(minTokenTtlMs, options.maxStalenessMs * 10),
      log,
    })
    this.#replicas = options.replicas.map((replica) => this.#createReplica(replica, nowMs))
  }

  /** Reads the first position. Resolves also when the primary is down: it may come. */
  async start(): Promise<void> {
    await this.monitor.start()
  }

  /** Whether a statement provably only reads, so that any eligible server may answer it. */
  isRead(text: string): boolean {
    return this.#options.classifier.classify(text).kind === 'read'
  }

  /** Runs one statement where it belongs and answers pg's result. */
  async run(scope: Scope, statement: Statement, values?: readonly unknown[]): Promise<pg.QueryResult> {
    const text = typeof statement === 'string' ? statement : statement.text
    if (!this.isRead(text) || (typeof statement === 'object' && 'submit' in statement)) {
      this.#refuseUnroutable(statement, text)
      return await this.#write(scope, statement, values)
    }
    const pending = this.#requirement(scope)
    const requirement = pending instanceof Promise ? await pending : pending
    const replica = this.#candidate(requirement)
    const client = replica === null ? null : await this.#acquire(replica, requirement)
    if (replica === null || client === null) return await this.#readPrimary(scope, requirement, statement, values)
    try {
      const result = await runOn(client, statement, values)
      replica.inFlight -= 1
      replica.release(client)
      this.counts.replicaReads += 1
      return result
    } catch (error) {
      replica.inFlight -= 1
      replica.fail(client, error)
      if (!isReplicaFault(error)) throw error
      this.counts.replicaFaults += 1
      return await this.#readPrimary(scope, requirement, statement, values)
    }
  }

  /** What needs one connection for longer than one statement cannot be routed statement by statement. */
  #refuseUnroutable(statement: Statement, text: string): void {
    if (this.#options.classifier.classify(text).transaction === 'opens') {
      throw new FourfoldError(
        'FF_DATABASE_TRANSACTION',
        'A transaction cannot be opened here, where the next statement may use another connection: use transaction() or pool.connect()',
      )
    }
    if (typeof statement === 'object' && 'submit' in statement) {
      throw new FourfoldError(
        'FF_DATABASE_CURSOR',
        'A cursor or query object needs a client of its own: use pool.connect()',
      )
    }
  }

  /** A client on the primary, for a transaction or for connection state; tells the scope of its commits until released. */
  async checkout(scope: Scope): Promise<pg.PoolClient> {
    const client = await this.#connectPrimary()
    const tracked = client as unknown as TrackedClient
    tracked.observer = (position) => this.#committed(scope, position)
    const release = client.release.bind(client)
    client.release = (error) => {
      tracked.observer = null
      client.release = release
      // An open transaction must not go back to the pool: its next holder would write into it.
      release(error || !isAtRest(client))
    }
    return client
  }

  /** A client for a read-only transaction: on a replica that may serve this scope, else on the primary. */
  async checkoutReader(scope: Scope): Promise<pg.PoolClient> {
    const requirement = await this.#requirement(scope)
    const replica = this.#candidate(requirement)
    const client = replica === null ? null : await this.#acquire(replica, requirement)
    if (replica === null || client === null) return await this.checkout(scope)
    const release = client.release.bind(client)
    client.release = (error) => {
      client.release = release
      replica.inFlight -= 1
      const fit = !error && isAtRest(client)
      if (!fit) replica.fail(client, error instanceof Error ? error : new Error('the connection was given up'))
      else replica.release(client)
    }
    this.counts.replicaReads += 1
    return client
  }

  /** The primary's position now. */
  async readPosition(): Promise<WritePosition> {
    const client = await this.#connectPrimary(this.#aside)
    try {
      const position = await withDeadline(
        readWritePosition({ query: (sql, values) => (client as unknown as TrackedClient).plain(sql, values) }),
        positionTimeoutMs,
        `the position of database ${this.name}`,
      )
      client.release()
      return position
    } catch (error) {
      client.release(true)
      throw error
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #limits(): PoolLimits {
    const { poolSize, connectTimeoutMs, statementTimeoutMs, name } = this.#options
    return { max: poolSize, connectTimeoutMs, statementTimeoutMs, applicationName: `fourfold ${name}` }
  }

  #createReplica({ name, address }: ClusterOptions['replicas'][number], nowMs: () => number): Replica {
    const probeLimits = { ...this.#limits(), connectTimeoutMs: replicaProbeTimeoutMs }
    return new Replica({
      name,
      pool: createReplicaPool(address, probeLimits),
      createProbe: () => createClient(address, probeLimits),
      replicaWaitMs: this.#options.replicaWaitMs,
      probeTimeoutMs: replicaProbeTimeoutMs,
      nowMs,
      log: this.#options.log.child({ database: this.name }),
    })
  }

  #requirement(scope: Scope): Needed | Promise<Needed> {
    const level = scope.level ?? this.#options.level
    if (scope.pinned || !mayUseReplica(level) || this.#replicas.length === 0) return 'primary'
    return level === 'eventual' ? 'any' : scope.require(this.tokens)
  }

  /** The replica to ask, or null: the primary must answer. */
  #candidate(needed: Needed): Replica | null {
    if (needed === 'any') return this.#choose(0)
    return needed === 'primary' || needed.kind === 'primary' ? null : this.#choose(needed.position.lsn)
  }

  /** The replica's connection that meets the requirement, or null. Whoever gets one counts as in flight until it is given back. */
  async #acquire(replica: Replica, needed: Needed): Promise<pg.PoolClient | null> {
    const position = typeof needed === 'object' && needed.kind === 'position' ? needed.position : null
    const eligible = (replay: ReplayPosition): boolean => {
      if (replay.epoch !== this.monitor.epoch) return false
      if (position !== null && (position.epoch !== replay.epoch || replay.lsn < position.lsn)) return false
      return this.#youngEnough(replay)
    }
    replica.inFlight += 1
    const client = await replica.acquire(eligible, this.#onWait)
    if (client !== null) return client
    replica.inFlight -= 1
    this.counts.replicaTooOld += 1
    return null
  }

  /** Of the replicas that are up: one that has been seen far enough, else the one seen furthest; the least busy of equals. */
  #choose(lsn: number): Replica | null {
    let best: Replica | null = null
    for (const replica of this.#replicas) {
      if (!replica.up) continue
      if (best === null || this.#rank(replica, lsn) < this.#rank(best, lsn)) best = replica
    }
    return best
  }

  #rank(replica: Replica, lsn: number): number {
    const reached = (replica.newest?.lsn ?? 0) >= lsn
    return (reached ? 0 : 1_000_000) + replica.inFlight + Math.random()
  }

  #youngEnough(replay: ReplayPosition): boolean {
    const least = this.monitor.youngEnough()
    if (least !== null) return replay.lsn >= least
    if (!this.monitor.primaryDown || this.#options.onPrimaryDown === 'refuse') return false
    this.counts.servedWhilePrimaryDown += 1
    return true
  }

  /** An idle primary may keep the end of its log to itself for a while: one small flushed message brings it out. */
  #scheduleHeartbeat(): void {
    this.#heartbeat ??= setTimeout(() => {
      void this.#beat().finally(() => {
        this.#heartbeat = null
      })
    }, heartbeatAfterMs)
  }

  async #beat(): Promise<void> {
    try {
      const client = await this.#connectPrimary(this.#aside)
      try {
        await withDeadline(
          flushHeartbeat({ query: (sql, values) => (client as unknown as TrackedClient).plain(sql, values) }),
          positionTimeoutMs,
          'a heartbeat',
        )
        client.release()
      } catch (error) {
        client.release(true)
        throw error
      }
    } catch (error) {
      this.#options.log.debug({ error, database: this.name }, 'heartbeat not flushed')
    }
  }

  async #readPrimary(
    scope: Scope,
    requirement: Needed,
    statement: Statement,
    values?: readonly unknown[],
  ): Promise<pg.QueryResult> {
    this.counts.primaryReads += 1
    const result = await this.#onPrimary(scope, statement, values)
    if (typeof requirement === 'object' && requirement.kind === 'primary' && requirement.seen !== null) {
      const position = await this.readPosition().catch(() => null)
      if (position !== null) {
        this.monitor.saw(position)
        await scope.heal(this.tokens, requirement, position)
      }
    }
    return result
  }

  async #write(scope: Scope, statement: Statement, values?: readonly unknown[]): Promise<pg.QueryResult> {
    return await this.#onPrimary(scope, statement, values)
  }

  async #onPrimary(scope: Scope, statement: Statement, values?: readonly unknown[]): Promise<pg.QueryResult> {
    const client = await this.checkout(scope)
    try {
      const result = await client.query(statement as string, values as unknown[])
      client.release()
      return result
    } catch (error) {
      client.release(!isReusable(error))
      throw error
    }
  }

  async #committed(scope: Scope, position: WritePosition | null): Promise<void> {
    this.counts.primaryWrites += 1
    if (position !== null) this.monitor.saw(position)
    await scope.wrote(this.tokens, position)
  }

  async #connectPrimary(pool: pg.Pool = this.#primary): Promise<pg.PoolClient> {
    if (this.#closing !== null)
      throw new FourfoldError('FF_CORE_CLOSED', `Database ${this.name} is closed: open the app again`)
    try {
      return await pool.connect()
    } catch (error) {
      const message = `The primary of database ${this.name} cannot be reached: ${String(error)}`
      throw new FourfoldError('FF_DATABASE_UNAVAILABLE', message, { cause: error, fields: { database: this.name } })
    }
  }

  async #close(): Promise<void> {
    if (this.#heartbeat !== null) clearTimeout(this.#heartbeat)
    this.tokens.close()
    await this.monitor.stop()
    await Promise.all([...this.#replicas.map((replica) => replica.close()), this.#primary.end(), this.#aside.end()])
  }
}
