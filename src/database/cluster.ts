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

import { CacheFreshness } from './cache-freshness.ts'
import { PositionMonitor } from './position-monitor.ts'
import { Primary } from './primary.ts'
import { ReadIndex } from './read-index.ts'
import { Replica } from './replica.ts'
import { ReplicaChoice, type Needed } from './replica-choice.ts'
import { FourfoldError } from '../core/errors.ts'
import { isReplicaFault } from '../engines/postgres/connection-errors.ts'
import { sqlState } from '../engines/postgres/client.ts'
import { isAtRest } from '../engines/postgres/client-state.ts'
import { createClient, statementCutMs, type PoolLimits } from '../engines/postgres/pools.ts'
import { mayUseReplica, type Level } from '../freshness/level.ts'
import { TokenStore, type Requirement } from '../freshness/token-store.ts'

import type { ClusterCounts, ClusterOptions } from './cluster-options.ts'
import type { Position, ReplayPosition, WritePosition } from '../engines/position.ts'
import type { PostgresAddress } from '../engines/postgres/address.ts'
import type { ReplicaConnection } from '../engines/postgres/replica-connections.ts'
import type { Statement } from '../engines/postgres/routed-pool.ts'
import type { ChangeFollower } from '../freshness/changes/follower.ts'
import type { CommitObserver } from '../engines/postgres/tracked-client.ts'
import type { Scope } from '../freshness/scope.ts'

/** What a fill's statement answered, and where: the replay position was read on that connection before it. */
export interface FillAnswer {
  readonly result: pg.QueryResult
  /** Null: the primary answered. */
  readonly replay: ReplayPosition | null
}

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
  readonly #choice: ReplicaChoice
  readonly #index: ReadIndex
  readonly #fresh: CacheFreshness
  #closing: Promise<void> | null = null
  #identity: string | null = null

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
    this.#index = new ReadIndex(readPosition, (position) => this.monitor.saw(position))
    const { changes, monitor, tokens } = this
    const shared = { monitor, onPrimaryDown: options.onPrimaryDown, onWait: () => this.#primary.scheduleHeartbeat() }
    this.#choice = new ReplicaChoice({ ...shared, replicas: this.#replicas, counts: this.counts })
    const { level, replicaWaitMs } = options
    const readIndex = (): Promise<WritePosition> => this.readIndex()
    this.#fresh = new CacheFreshness({ ...shared, changes, tokens, level, replicaWaitMs, readIndex })
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

  /** The same on the primary for Fourfold's own tables: what is written there moves nobody's token. */
  runOwn(statement: Statement, values?: readonly unknown[]): Promise<pg.QueryResult> {
    const text = typeof statement === 'string' ? statement : statement.text
    return this.isRead(text)
      ? this.#primary.read(null, statement, values)
      : this.#primary.write(null, statement, values)
  }

  /** A client on the primary for the same. */
  async checkoutOwn(): Promise<pg.PoolClient> {
    return await this.#primary.checkout(null)
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
    const replica = this.#choice.candidate(needed)
    const connection =
      replica &&
      (await new Promise<ReplicaConnection | null>((resolve) => this.#choice.acquire(replica, needed, resolve)))
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

  /** See {@link CacheFreshness.freshNow}. */
  freshNow(scope: Scope): boolean | null {
    return this.#fresh.freshNow(scope)
  }

  /** See {@link CacheFreshness.freshUntilMs}. */
  freshUntilMs(scope: Scope): number {
    return this.#fresh.freshUntilMs(scope)
  }

  /** See {@link CacheFreshness.awaitFresh}. */
  awaitFresh(scope: Scope): Promise<Position | null> {
    return this.#fresh.awaitFresh(scope)
  }

  /** Whether a scope's reads are held to more than their own reader's writes. */
  isStrict(scope: Scope): boolean {
    return this.#fresh.isStrict(scope)
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

  /** A position query that begins after the call. */
  readIndex(): Promise<WritePosition> {
    return this.#index.readIndex()
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
    const replica = this.#choice.candidate(needed)
    if (replica === null) return this.#readPrimary(read)
    this.#choice.acquire(replica, needed, (connection) => {
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
