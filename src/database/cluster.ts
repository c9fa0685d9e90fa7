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

import type pg from 'pg'

import { PositionMonitor } from './position-monitor.ts'
import { Primary } from './primary.ts'
import { Replica } from './replica.ts'
import { FourfoldError } from '../core/errors.ts'
import { isReplicaFault } from '../engines/postgres/connection-errors.ts'
import { sqlState } from '../engines/postgres/client.ts'
import { isAtRest } from '../engines/postgres/client-state.ts'
import { createClient, statementCutMs, type PoolLimits } from '../engines/postgres/pools.ts'
import { mayUseReplica, type Level } from '../freshness/level.ts'
import { TokenStore, type Requirement } from '../freshness/token-store.ts'

import type { Logger } from '../core/log.ts'
import type { Position, ReplayPosition, WritePosition } from '../engines/position.ts'
import type { PostgresAddress } from '../engines/postgres/address.ts'
import type { Classifier } from '../engines/postgres/classify.ts'
import type { Eligible, ReplicaConnection } from '../engines/postgres/replica-connections.ts'
import type { Statement } from '../engines/postgres/routed-pool.ts'
import type { ChangeFollower } from '../freshness/changes/follower.ts'
import type { CommitObserver } from '../engines/postgres/tracked-client.ts'
import type { Scope } from '../freshness/scope.ts'
import type { Store } from '../store/store.ts'

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
  /** What this process knows of the database's changes. Absent: nothing is cached. */
  readonly changes?: ChangeFollower | null
}

/** What a fill's statement answered, and where: the replay position was read on that connection before it. */
export interface FillAnswer {
  readonly result: pg.QueryResult
  /** Null: the primary answered. */
  readonly replay: ReplayPosition | null
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

/** A read on its way to whoever answers it. */
interface Read {
  readonly scope: Scope
  readonly needed: Needed
  readonly statement: Statement
  readonly values: readonly unknown[] | undefined
  /** Reads for the cache run on connections that nobody has changed, and tell where they ran. */
  readonly fill: { replay: ReplayPosition | null } | null
  readonly resolve: (result: pg.QueryResult) => void
  readonly reject: (error: unknown) => void
}

const positionIntervalMs = 1_000
const replicaProbeTimeoutMs = 1_000
const minTokenTtlMs = 10 * 60_000

export class Cluster {
  readonly name: string
  readonly tokens: TokenStore
  readonly monitor: PositionMonitor
  readonly changes: ChangeFollower | null
  readonly counts: ClusterCounts = {
    replicaReads: 0,
    primaryReads: 0,
    primaryWrites: 0,
    replicaTooOld: 0,
    replicaFaults: 0,
    servedWhilePrimaryDown: 0,
  }
  readonly #options: ClusterOptions
  readonly #primary: Primary
  readonly #replicas: readonly Replica[]
  readonly #onWait = (): void => this.#primary.scheduleHeartbeat()
  #closing: Promise<void> | null = null
  #identity: string | null = null
  /** The position query that runs, and the one that comes after it. */
  #index: Promise<WritePosition> | null = null
  #nextIndex: Promise<WritePosition> | null = null

  constructor(options: ClusterOptions) {
    const nowMs = options.nowMs ?? (() => performance.now())
    const { name, log, store, classifier } = options
    this.name = name
    this.#options = options
    this.changes = options.changes ?? null
    // Half of them, so that neither a burst of misses nor a burst of writes waits for the other.
    const fillConnections = this.changes === null ? 0 : Math.max(1, Math.floor(options.poolSize / 2))
    const limits = this.#limits()
    this.#primary = new Primary({ name, address: options.primary, limits, fillConnections, classifier, log })
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
  run(scope: Scope, statement: Statement, values?: readonly unknown[]): Promise<pg.QueryResult> {
    const text = typeof statement === 'string' ? statement : statement.text
    if (!this.isRead(text) || isQueryObject(statement)) return this.#write(scope, statement, text, values)
    return this.#route(scope, statement, values, null)
  }

  /** Runs a read of a fill, as fresh as the scope asks, on a connection that nobody has changed. */
  async runFill(scope: Scope, statement: Statement, values?: readonly unknown[]): Promise<FillAnswer> {
    const fill: { replay: ReplayPosition | null } = { replay: null }
    const result = await this.#route(scope, statement, values, fill)
    return { result, replay: fill.replay }
  }

  /** On the primary's connections for fills: for catalogues. */
  async runClean(text: string, values?: readonly unknown[]): Promise<pg.QueryResult> {
    return await this.#primary.fill(text, values)
  }

  /** A client on the primary, for a transaction or for connection state; tells the scope of its commits until released. */
  async checkout(scope: Scope): Promise<pg.PoolClient> {
    return await this.#primary.checkout(this.#observe(scope))
  }

  /** A client for a read-only transaction: on a replica that may serve this scope, else on the primary. */
  async checkoutReader(scope: Scope): Promise<pg.PoolClient> {
    const needed = await this.#needed(scope)
    const replica = this.#candidate(needed)
    const connection =
      replica && (await new Promise<ReplicaConnection | null>((resolve) => this.#acquire(replica, needed, resolve)))
    if (replica === null || connection === null) return await this.checkout(scope)
    replica.keep(connection)
    const client = connection.client as pg.PoolClient
    client.release = (error) => {
      client.release = releasedTwice
      replica.inFlight -= 1
      const fit = !error && isAtRest(connection.client)
      if (fit) replica.release(connection)
      else replica.fail(connection, error instanceof Error ? error : new Error('the connection was given up'))
    }
    this.counts.replicaReads += 1
    return client
  }

  /**
   * Whether what this process knows of the changes is new enough for a scope's reads of the cache. Null: not known at
   * once, see {@link awaitFresh}. False: the database must answer.
   */
  freshNow(scope: Scope): boolean | null {
    const { changes, monitor } = this
    if (changes === null || scope.pinned) return false
    const least = monitor.youngEnough()
    if (least === null ? !this.#servesWhileDown() : monitor.epoch !== changes.epoch) return false
    if (least !== null && changes.watermark < least) return null
    const level = scope.level ?? this.#options.level
    if (level === 'eventual') return true
    if (level !== 'session') return null
    const required = scope.require(this.tokens)
    if (required instanceof Promise) return null
    if (required.kind !== 'position') return false
    return changes.reached(required.position) || null
  }

  /**
   * Until when, on this process's clock, what it knows of the changes is new enough for a scope, as long as the scope's
   * version and the filter stay the same. 0: it is not, or cannot be told at once; strict readers ask each time.
   */
  freshUntilMs(scope: Scope): number {
    const { changes, monitor } = this
    if (changes === null || changes.epoch === null || scope.pinned || monitor.epoch !== changes.epoch) return 0
    const untilMs = monitor.youngUntilMs(changes.watermark)
    const level = scope.level ?? this.#options.level
    if (level === 'eventual') return untilMs
    if (level !== 'session' || this.freshNow(scope) !== true) return 0
    return Math.min(untilMs, scope.keptUntilMs(this.tokens))
  }

  /**
   * The position up to which this process knows all changes, and which is new enough for the scope; waits for it at
   * most `replicaWait`. Null: the database must answer.
   */
  async awaitFresh(scope: Scope): Promise<Position | null> {
    const { changes, monitor } = this
    const epoch = changes?.epoch ?? null
    if (changes === null || epoch === null || scope.pinned) return null
    const required = await this.#requiredOf(scope)
    if (required === null || required.epoch !== epoch) return null
    const least = monitor.youngEnough()
    if (least === null ? !this.#servesWhileDown() : monitor.epoch !== epoch) return null
    const position = { epoch, lsn: Math.max(required.lsn, least ?? 0) }
    if (changes.reached(position)) return position
    this.#onWait()
    return (await changes.waitFor(position, this.#options.replicaWaitMs)) ? position : null
  }

  /** Whether a scope's reads are held to more than their own reader's writes. */
  isStrict(scope: Scope): boolean {
    const level = scope.level ?? this.#options.level
    return level === 'strict' || level === 'monotonic'
  }

  /** The primary's. */
  get address(): PostgresAddress {
    return this.#options.primary
  }

  /** Whose connections these are, and with what settings: answers can hang on it. */
  get identity(): string {
    return (this.#identity ??= identityOf(this.#options.primary))
  }

  get level(): Level {
    return this.#options.level
  }

  get replicaWaitMs(): number {
    return this.#options.replicaWaitMs
  }

  /** The primary's position now. */
  async readPosition(): Promise<WritePosition> {
    return await this.#primary.readPosition()
  }

  /** Null: only the database will do. What `monotonic` was shown before is older than any position asked for now. */
  async #requiredOf(scope: Scope): Promise<Position | null> {
    const level = scope.level ?? this.#options.level
    if (level === 'eventual') return { epoch: this.changes?.epoch ?? '', lsn: 0 }
    if (level === 'session') {
      const required = await scope.require(this.tokens)
      return required.kind === 'position' ? required.position : null
    }
    const ask = (): Promise<Position> => this.readIndex()
    try {
      return await (level === 'strict' ? scope.readIndex(this.tokens, ask) : ask())
    } catch {
      return null
    }
  }

  /** A position query that begins after the call; all who call before it begins share it. */
  readIndex(): Promise<WritePosition> {
    this.#nextIndex ??= (this.#index ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => {
        const index = this.readPosition()
        this.#index = index
        this.#nextIndex = null
        const done = (): void => {
          if (this.#index === index) this.#index = null
        }
        index.then((position) => {
          this.monitor.saw(position)
          done()
        }, done)
        return index
      })
    return this.#nextIndex
  }

  #servesWhileDown(): boolean {
    return this.monitor.primaryDown && this.#options.onPrimaryDown === 'serve'
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
    const limits = { ...this.#limits(), connectTimeoutMs: replicaProbeTimeoutMs }
    return new Replica({
      name,
      maxConnections: limits.max,
      createClient: () => createClient(address, limits),
      statementMs: statementCutMs(limits),
      connectionWaitMs: replicaProbeTimeoutMs,
      replicaWaitMs: this.#options.replicaWaitMs,
      probeTimeoutMs: replicaProbeTimeoutMs,
      nowMs,
      log: this.#options.log.child({ database: this.name }),
    })
  }

  #needed(scope: Scope): Needed | Promise<Needed> {
    const level = scope.level ?? this.#options.level
    if (scope.pinned || !mayUseReplica(level) || this.#replicas.length === 0) return 'primary'
    return level === 'eventual' ? 'any' : scope.require(this.tokens)
  }

  #read(read: Read): void {
    const { needed, statement, values } = read
    const replica = this.#candidate(needed)
    if (replica === null) return this.#readPrimary(read)
    this.#acquire(replica, needed, (connection) => {
      if (connection === null) return this.#readPrimary(read)
      let answered = false
      // Before the statement is sent: what its snapshot shows at least.
      if (read.fill !== null) read.fill.replay = connection.replay
      const onAnswer = (error: Error | null, result: pg.QueryResult | null): void => {
        // pg may tell of a statement's error, and then of the connection's that was ended for it.
        if (answered) return
        answered = true
        this.#answer(read, replica, connection, error, result)
      }
      try {
        // With a callback: pg's promise costs two more.
        connection.client.query(statement as string, values as unknown[], onAnswer)
      } catch (error) {
        // Here nobody else would catch it: this may run when another statement gave its connection back.
        onAnswer(error as Error, null)
      }
    })
  }

  #answer(
    read: Read,
    replica: Replica,
    connection: ReplicaConnection,
    error: Error | null,
    result: pg.QueryResult | null,
  ): void {
    replica.inFlight -= 1
    if (!error && result !== null) {
      this.counts.replicaReads += 1
      replica.release(connection)
      return read.resolve(result)
    }
    replica.fail(connection, error)
    if (!isReplicaFault(error)) return read.reject(error)
    this.counts.replicaFaults += 1
    // A fill that turns out to write is refused by the primary in the same words: it may only read.
    if (sqlState(error) === '25006' && read.fill === null) this.#writeUnseen(read)
    else this.#readPrimary(read)
  }

  /** A standby refused to write: a view or an operator hides what the text does not show. Run once, and its token moves. */
  #writeUnseen({ scope, statement, values, resolve, reject }: Read): void {
    const observer = this.#observe(scope)
    const tell = async (result: pg.QueryResult): Promise<pg.QueryResult> => {
      await observer(await this.readPosition().catch(() => null))
      return result
    }
    this.counts.primaryReads += 1
    this.#primary.write(observer, statement, values).then(tell).then(resolve, reject)
  }

  /** One promise for each statement: what it waits for calls back. */
  #route(
    scope: Scope,
    statement: Statement,
    values: readonly unknown[] | undefined,
    fill: { replay: ReplayPosition | null } | null,
  ): Promise<pg.QueryResult> {
    return new Promise((resolve, reject) => {
      const needed = this.#needed(scope)
      const read = (known: Needed): void =>
        this.#read({ scope, needed: known, statement, values, fill, resolve, reject })
      if (needed instanceof Promise) needed.then(read).catch(reject)
      else read(needed)
    })
  }

  /** The replica to ask, or null: the primary must answer. */
  #candidate(needed: Needed): Replica | null {
    if (needed === 'any') return this.#choose(0)
    return needed === 'primary' || needed.kind === 'primary' ? null : this.#choose(needed.position.lsn)
  }

  /** Brings the replica's connection that meets the need, or null. Whoever gets one is in flight until it is given back. */
  #acquire(replica: Replica, needed: Needed, then: (connection: ReplicaConnection | null) => void): void {
    const position = typeof needed === 'object' && needed.kind === 'position' ? needed.position : null
    const eligible: Eligible = (replay) => {
      if (replay.epoch !== this.monitor.epoch) return false
      if (position !== null && (position.epoch !== replay.epoch || replay.lsn < position.lsn)) return false
      return this.#youngEnough(replay)
    }
    replica.inFlight += 1
    replica.acquire(eligible, this.#onWait, (connection) => {
      if (connection === null) {
        replica.inFlight -= 1
        this.counts.replicaTooOld += 1
      }
      then(connection)
    })
  }

  /** Of the replicas that are up: one that has been seen far enough, else the one seen furthest; the least busy of equals. */
  #choose(lsn: number): Replica | null {
    let best: Replica | null = null
    let bestRank = Infinity
    for (const replica of this.#replicas) {
      if (!replica.up) continue
      const rank = this.#replicas.length === 1 ? 0 : rankOf(replica, lsn)
      if (best !== null && rank >= bestRank) continue
      best = replica
      bestRank = rank
    }
    return best
  }

  #youngEnough(replay: ReplayPosition): boolean {
    const least = this.monitor.youngEnough()
    if (least !== null) return replay.lsn >= least
    if (!this.monitor.primaryDown || this.#options.onPrimaryDown === 'refuse') return false
    this.counts.servedWhilePrimaryDown += 1
    return true
  }

  #readPrimary({ scope, needed, statement, values, fill, resolve, reject }: Read): void {
    this.counts.primaryReads += 1
    if (fill !== null) fill.replay = null
    const reading =
      fill === null
        ? this.#primary.read(this.#observe(scope), statement, values)
        : this.#primary.fill(statement, values)
    const heals = typeof needed === 'object' && needed.kind === 'primary' && needed.seen !== null
    const healed = heals ? reading.then((result) => this.#heal(scope, needed).then(() => result)) : reading
    healed.then(resolve, reject)
  }

  async #heal(scope: Scope, needed: Requirement): Promise<void> {
    const position = await this.readPosition().catch(() => null)
    if (position === null) return
    this.monitor.saw(position)
    await scope.heal(this.tokens, needed, position)
  }

  async #write(scope: Scope, statement: Statement, text: string, values?: readonly unknown[]): Promise<pg.QueryResult> {
    this.#refuseUnroutable(statement, text)
    return await this.#primary.write(this.#observe(scope), statement, values)
  }

  /** What needs one connection for longer than one statement cannot be routed statement by statement. */
  #refuseUnroutable(statement: Statement, text: string): void {
    if (this.#options.classifier.classify(text).transaction === 'opens') {
      throw new FourfoldError(
        'FF_DATABASE_TRANSACTION',
        'A transaction cannot be opened here, where the next statement may use another connection: use transaction() or pool.connect()',
      )
    }
    if (isQueryObject(statement)) {
      throw new FourfoldError(
        'FF_DATABASE_CURSOR',
        'A cursor or query object needs a client of its own: use pool.connect()',
      )
    }
  }

  #observe(scope: Scope): CommitObserver {
    return async (position) => {
      this.counts.primaryWrites += 1
      if (position !== null) this.monitor.saw(position)
      await scope.wrote(this.tokens, position)
    }
  }

  async #close(): Promise<void> {
    await this.tokens.close()
    await this.monitor.stop()
    await Promise.all([...this.#replicas.map((replica) => replica.close()), this.#primary.close()])
  }
}

/** Who has been seen far enough comes before who has not; of equals the less busy, and by chance among those. */
function rankOf(replica: Replica, lsn: number): number {
  const reached = (replica.newest?.lsn ?? 0) >= lsn
  return (reached ? 0 : 1_000_000) + replica.inFlight + Math.random()
}

/** A cursor or the like, which runs itself on a client. */
export function isQueryObject(statement: Statement): boolean {
  return typeof statement === 'object' && 'submit' in statement
}

function releasedTwice(): never {
  throw new Error('Release called on client which has already been released to the pool.')
}

function identityOf(primary: PostgresAddress): string {
  const { user, database, options = '' } = primary as { user?: string; database?: string; options?: string }
  return JSON.stringify([user, database, options])
}
