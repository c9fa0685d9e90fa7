/**
 * Kysely's connections to a cluster, for one scope.
 *
 * Kysely asks for a connection before it knows what will run on it. So a connection here is a promise to itself: its
 * statements are routed one by one as long as they only read; the first that does anything else takes a client on the
 * primary and keeps it until Kysely gives the connection back, so that settings, locks and `lastval()` hold.
 */

import {
  AbortedTransactionError,
  createQueryId,
  IdentifierNode,
  RawNode,
  type CompiledQuery,
  type ConnectionProvider,
  type DatabaseConnection,
  type Driver,
  type QueryCompiler,
  type QueryResult,
  type TransactionSettings,
} from 'kysely'

import { connectionLost, isConnectionLost, isReplicaFault } from '../engines/postgres/connection-errors.ts'
import { FourfoldError, isFourfoldError } from '../core/errors.ts'

import type { Router } from './router.ts'
import type pg from 'pg'

const writingCommands: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

class RoutedConnection implements DatabaseConnection {
  readonly #router: Router
  #client: pg.PoolClient | null = null
  #onReplica = false
  #broken = false

  constructor(router: Router) {
    this.#router = router
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    const result = await this.#run(sql, parameters).catch(tellLost)
    const written = writingCommands.has(result.command) ? BigInt(result.rowCount ?? 0) : undefined
    return { numAffectedRows: written, rows: result.rows as R[] }
  }

  // oxlint-disable-next-line require-yield -- the interface asks for a generator
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new FourfoldError(
      'FF_DATABASE_CURSOR',
      'Rows cannot be streamed through Kysely here: use pool.connect() with pg-cursor, or read in pages',
    )
  }

  /** Takes the client that a transaction needs; one that only reads may go to a replica. */
  async begin({ accessMode, isolationLevel }: TransactionSettings): Promise<void> {
    const words = [isolationLevel && `isolation level ${isolationLevel}`, accessMode].filter(Boolean)
    const sql = words.length === 0 ? 'begin' : `start transaction ${words.join(' ')}`
    // A standby knows no serializable transactions.
    const reader = accessMode === 'read only' && isolationLevel !== 'serializable' && this.#client === null
    if (reader && (await this.#beginOnReplica(sql))) return
    this.#client ??= await this.#router.checkout()
    await this.#client.query(sql)
  }

  /** False where the server went away before anything was read: the primary can still take the transaction. */
  async #beginOnReplica(sql: string): Promise<boolean> {
    const client = await this.#router.checkoutReader()
    try {
      await client.query(sql)
      this.#client = client
      this.#onReplica = true
      return true
    } catch (error) {
      client.release(error as Error)
      if (isReplicaFault(error)) return false
      throw error
    }
  }

  async end(command: 'commit' | 'rollback'): Promise<void> {
    try {
      const result = await this.#client?.query(command).catch(tellLost)
      if (command === 'commit' && result?.command === 'ROLLBACK') throw new AbortedTransactionError()
    } catch (error) {
      if (command === 'rollback') this.#broken = true
      throw error
    }
  }

  release(): void {
    this.#client?.release(this.#broken || undefined)
    this.#client = null
  }

  async #run(sql: string, parameters: readonly unknown[]): Promise<pg.QueryResult> {
    if (this.#client === null) {
      if (this.#router.isRead(sql)) return await this.#router.run(sql, parameters)
      this.#client = await this.#router.checkout()
    }
    // A setting or a lock would stay with a connection that others read on next.
    else if (this.#onReplica && !this.#router.isRead(sql)) this.#broken = true
    return await this.#client.query(sql, parameters as unknown[])
  }
}

/** Clients of replicas tell of a lost connection in pg's words. */
function tellLost(error: unknown): never {
  throw isConnectionLost(error) && !isFourfoldError(error) ? connectionLost(error) : error
}

export class RoutedDriver implements Driver, ConnectionProvider {
  readonly #router: Router

  constructor(router: Router) {
    this.#router = router
  }

  async init(): Promise<void> {}

  async provideConnection<T>(consumer: (connection: DatabaseConnection) => Promise<T>): Promise<T> {
    const connection = new RoutedConnection(this.#router)
    try {
      return await consumer(connection)
    } finally {
      connection.release()
    }
  }

  async acquireConnection(): Promise<RoutedConnection> {
    return new RoutedConnection(this.#router)
  }

  async beginTransaction(connection: RoutedConnection, settings: TransactionSettings): Promise<void> {
    await connection.begin(settings)
  }

  async commitTransaction(connection: RoutedConnection): Promise<void> {
    await connection.end('commit')
  }

  async rollbackTransaction(connection: RoutedConnection): Promise<void> {
    await connection.end('rollback')
  }

  async savepoint(connection: RoutedConnection, name: string, compile: QueryCompiler['compileQuery']): Promise<void> {
    await runSavepoint(connection, 'savepoint', name, compile)
  }

  async rollbackToSavepoint(
    connection: RoutedConnection,
    name: string,
    compile: QueryCompiler['compileQuery'],
  ): Promise<void> {
    await runSavepoint(connection, 'rollback to', name, compile)
  }

  async releaseSavepoint(
    connection: RoutedConnection,
    name: string,
    compile: QueryCompiler['compileQuery'],
  ): Promise<void> {
    await runSavepoint(connection, 'release', name, compile)
  }

  async releaseConnection(connection: RoutedConnection): Promise<void> {
    connection.release()
  }

  async destroy(): Promise<void> {}
}

async function runSavepoint(
  connection: RoutedConnection,
  command: string,
  name: string,
  compile: QueryCompiler['compileQuery'],
): Promise<void> {
  const node = RawNode.createWithChildren([RawNode.createWithSql(`${command} `), IdentifierNode.create(name)])
  await connection.executeQuery(compile(node, createQueryId()))
}
