/**
 * What a Kysely instance over a cluster is made of, and what its queries know of it: which database they belong to,
 * whether they were made inside a transaction, and what is to be done to their rows. What runs them: `routed-driver.ts`.
 */

import {
  DefaultQueryExecutor,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  CompiledQuery,
  type ConnectionProvider,
  type Dialect,
  type Kysely,
  type KyselyPlugin,
  type KyselyProps,
  type QueryResult,
  type Transaction,
} from 'kysely'

import { RoutedDriver } from './routed-driver.ts'

import type { Router } from './router.ts'

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
