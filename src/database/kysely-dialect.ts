/**
 * Kysely over a cluster, for one scope.
 *
 * Kysely asks for a connection before it knows what will run on it. So a connection here is a promise to itself: its
 * statements are routed one by one as long as they only read; the first that does anything else takes a client on the
 * primary and keeps it until Kysely gives the connection back, so that settings, locks and `lastval()` hold.
 */

import {
  AbortedTransactionError,
  createQueryId,
  DefaultQueryExecutor,
  IdentifierNode,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  RawNode,
  CompiledQuery,
  type ConnectionProvider,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type KyselyPlugin,
  type KyselyProps,
  type QueryCompiler,
  type QueryResult,
  type Transaction,
  type TransactionSettings,
} from 'kysely'

import { connectionLost, isConnectionLost, isReplicaFault } from '../engines/postgres/connection-errors.ts'
import { FourfoldError, isFourfoldError } from '../core/errors.ts'

import type { Router } from './router.ts'
import type pg from 'pg'

/** One for all: it compiles at once, and keeps nothing between queries. Making one costs more than many a query. */
const compiler = new PostgresQueryCompiler()

/**
 * What a Kysely instance over a router is made of. Each request makes one, so Kysely's wrapper around drivers (for
 * starting them once, and for query logging) is left out: this driver has nothing to start.
 */
export function routedProps(router: Router): KyselyProps {
  const driver = new RoutedDriver(router)
  const executor = new RoutedExecutor({
    compiler,
    adapter: new NamedAdapter(router.database),
    provider: driver,
    plugins: [],
    origin: { database: router.database, inTransaction: false },
  })
  const dialect = createDialect(driver)
  return { config: { dialect }, driver, executor, dialect }
}

/** It owns nothing: destroying it leaves the cluster open. */
function createDialect(driver: RoutedDriver): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => driver,
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  }
}

/** Which database a compiled query belongs to, and whether it was made inside a transaction. */
export interface QueryOrigin {
  readonly database: string
  readonly inTransaction: boolean
  /** What the instance that compiled it does to rows. Absent: nothing. */
  readonly plugins?: readonly KyselyPlugin[]
}

const origin: unique symbol = Symbol('origin')

/** Null for what no database of Fourfold's has compiled. */
export function originOf(query: CompiledQuery): QueryOrigin | null {
  return (query as { readonly [origin]?: QueryOrigin })[origin] ?? null
}

/** Which database a transaction, or any instance, belongs to; null where it is not one of Fourfold's. */
export function transactionOrigin(kysely: Pick<Kysely<any>, 'getExecutor' | 'isTransaction'>): QueryOrigin | null {
  // Kysely wraps the executor of a transaction in one of its own, which hands the adapter through.
  const { adapter } = kysely.getExecutor()
  if (!(adapter instanceof NamedAdapter)) return null
  return { database: adapter.database, inTransaction: kysely.isTransaction }
}

class NamedAdapter extends PostgresAdapter {
  readonly database: string

  constructor(database: string) {
    super()
    this.database = database
  }
}

/** Whether the instance that compiled a query does anything to its rows: {@link finishRows} may then change them. */
export function hasPlugins(query: CompiledQuery): boolean {
  return (originOf(query)?.plugins?.length ?? 0) > 0
}

/** Rows as the instance that compiled the query would answer them. */
export async function finishRows(query: CompiledQuery, rows: readonly unknown[]): Promise<readonly unknown[]> {
  let result: QueryResult<any> = { rows: rows as unknown[] }
  for (const plugin of originOf(query)?.plugins ?? []) {
    result = await plugin.transformResult({ result, queryId: query.queryId })
  }
  return result.rows
}

/** Runs a text inside a transaction, of any Kysely instance. */
export async function runInside(
  transaction: Transaction<any>,
  text: string,
  parameters: readonly unknown[],
): Promise<QueryResult<any>> {
  return await transaction.executeQuery(CompiledQuery.raw(text, [...parameters]))
}

interface ExecutorParts {
  readonly compiler: PostgresQueryCompiler
  readonly adapter: PostgresAdapter
  readonly provider: ConnectionProvider
  readonly plugins: readonly KyselyPlugin[]
  readonly origin: QueryOrigin
}

/** Compiles queries that know where they belong: what is handed to the cache is a builder and nothing else. */
class RoutedExecutor extends DefaultQueryExecutor {
  readonly #parts: ExecutorParts

  constructor(parts: ExecutorParts) {
    super(parts.compiler, parts.adapter, parts.provider, [...parts.plugins])
    this.#parts = parts
  }

  override compileQuery(...args: Parameters<DefaultQueryExecutor['compileQuery']>): CompiledQuery {
    const { plugins } = this
    const from = plugins.length === 0 ? this.#parts.origin : { ...this.#parts.origin, plugins }
    return { ...super.compileQuery(...args), [origin]: from } as CompiledQuery
  }

  /** Kysely asks for this at the begin of a transaction, or of work on one connection. */
  override withConnectionProvider(provider: ConnectionProvider): DefaultQueryExecutor {
    return this.#with({ provider, origin: { ...this.#parts.origin, inTransaction: true } })
  }

  override withPlugins(plugins: readonly KyselyPlugin[]): DefaultQueryExecutor {
    return this.#with({ plugins: [...this.plugins, ...plugins] })
  }

  override withPlugin(plugin: KyselyPlugin): DefaultQueryExecutor {
    return this.#with({ plugins: [...this.plugins, plugin] })
  }

  override withPluginAtFront(plugin: KyselyPlugin): DefaultQueryExecutor {
    return this.#with({ plugins: [plugin, ...this.plugins] })
  }

  override withoutPlugins(): DefaultQueryExecutor {
    return this.#with({ plugins: [] })
  }

  #with(change: Partial<ExecutorParts>): DefaultQueryExecutor {
    return new RoutedExecutor({ ...this.#parts, ...change })
  }
}

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

class RoutedDriver implements Driver, ConnectionProvider {
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
