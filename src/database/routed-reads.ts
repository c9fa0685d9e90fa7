/** Reads on their way to a replica, and to the primary where no replica may answer or one failed: see `cluster.ts`. */

import { isReplicaFault } from '../engines/postgres/connection-errors.ts'
import { sqlState } from '../engines/postgres/client.ts'
import { mayUseReplica, type Level } from '../freshness/level.ts'

import type pg from 'pg'

import type { ClusterCounts } from './cluster-options.ts'
import type { PositionMonitor } from './position-monitor.ts'
import type { Primary } from './primary.ts'
import type { Replica } from './replica.ts'
import type { Needed, ReplicaChoice } from './replica-choice.ts'
import type { ReplayPosition, WritePosition } from '../engines/position.ts'
import type { ReplicaConnection } from '../engines/postgres/replica-connections.ts'
import type { Statement } from '../engines/postgres/routed-pool.ts'
import type { CommitObserver } from '../engines/postgres/tracked-client.ts'
import type { Scope } from '../freshness/scope.ts'
import type { Requirement, TokenStore } from '../freshness/token-store.ts'

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

export interface RoutedReadsParts {
  readonly primary: Primary
  readonly choice: ReplicaChoice
  readonly hasReplicas: boolean
  readonly monitor: PositionMonitor
  readonly tokens: TokenStore
  readonly counts: ClusterCounts
  /** The primary's position now. */
  readonly readPosition: () => Promise<WritePosition>
  /** The level of reads whose scope names none. */
  readonly level: Level
  /** Who is told of a commit of this scope. */
  readonly observe: (scope: Scope) => CommitObserver
}

export class RoutedReads {
  readonly #parts: RoutedReadsParts

  constructor(parts: RoutedReadsParts) {
    this.#parts = parts
  }

  /** One promise for each statement: what it waits for calls back. */
  route(
    scope: Scope,
    statement: Statement,
    values: readonly unknown[] | undefined,
    fill: { replay: ReplayPosition | null } | null,
  ): Promise<pg.QueryResult> {
    return new Promise((resolve, reject) => {
      const needed = this.needed(scope)
      const read = (known: Needed): void =>
        this.#read({ scope, needed: known, statement, values, fill, resolve, reject })
      if (needed instanceof Promise) needed.then(read).catch(reject)
      else read(needed)
    })
  }

  needed(scope: Scope): Needed | Promise<Needed> {
    const level = scope.level ?? this.#parts.level
    if (scope.pinned || !mayUseReplica(level) || !this.#parts.hasReplicas) return 'primary'
    return level === 'eventual' ? 'any' : scope.require(this.#parts.tokens)
  }

  #read(read: Read): void {
    const { needed, statement, values } = read
    const replica = this.#parts.choice.candidate(needed)
    if (replica === null) return this.#readPrimary(read)
    this.#parts.choice.acquire(replica, needed, (connection) => {
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
      this.#parts.counts.replicaReads += 1
      replica.release(connection)
      return read.resolve(result)
    }
    replica.fail(connection, error)
    if (!isReplicaFault(error)) return read.reject(error)
    this.#parts.counts.replicaFaults += 1
    // A fill that turns out to write is refused by the primary in the same words: it may only read.
    if (sqlState(error) === '25006' && read.fill === null) this.#writeUnseen(read)
    else this.#readPrimary(read)
  }

  /** A standby refused to write: a view or an operator hides what the text does not show. Run once, and its token moves. */
  #writeUnseen({ scope, statement, values, resolve, reject }: Read): void {
    const observer = this.#parts.observe(scope)
    const tell = async (result: pg.QueryResult): Promise<pg.QueryResult> => {
      await observer(await this.#parts.readPosition().catch(() => null))
      return result
    }
    this.#parts.counts.primaryReads += 1
    this.#parts.primary.write(observer, statement, values).then(tell).then(resolve, reject)
  }

  #readPrimary({ scope, needed, statement, values, fill, resolve, reject }: Read): void {
    this.#parts.counts.primaryReads += 1
    if (fill !== null) fill.replay = null
    const reading =
      fill === null
        ? this.#parts.primary.read(this.#parts.observe(scope), statement, values)
        : this.#parts.primary.fill(statement, values)
    const heals = typeof needed === 'object' && needed.kind === 'primary' && needed.seen !== null
    const healed = heals ? reading.then((result) => this.#heal(scope, needed).then(() => result)) : reading
    healed.then(resolve, reject)
  }

  async #heal(scope: Scope, needed: Requirement): Promise<void> {
    const position = await this.#parts.readPosition().catch(() => null)
    if (position === null) return
    this.#parts.monitor.saw(position)
    await scope.heal(this.#parts.tokens, needed, position)
  }
}
