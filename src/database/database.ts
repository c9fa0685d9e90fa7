/** `ff.databases.<name>`: a Kysely instance over the routing, with the same routing as a `pg.Pool` beside it. */

import { Kysely } from 'kysely'

import { createDialect } from './kysely-dialect.ts'
import { RoutedPool } from '../engines/postgres/routed-pool.ts'

import type { Cluster } from './cluster.ts'
import type { Scope } from '../freshness/scope.ts'
import type pg from 'pg'

/**
 * A database as an app uses it. Statements that only read go to a replica that is fresh enough for the reader, all
 * else to the primary; transactions go to the primary unless they are `read only`.
 */
export type Database<Schema> = Kysely<Schema> & {
  /** The same routing as a `pg.Pool`: `query` statement by statement; `connect` gives a client on the primary. */
  readonly pool: pg.Pool
}

/** The database of one scope. Cheap: connections belong to the cluster. */
export function createDatabase<Schema>(cluster: Cluster, scope: Scope): Database<Schema> {
  const kysely = new Kysely<Schema>({ dialect: createDialect(cluster, scope) })
  let pool: RoutedPool | null = null
  return Object.defineProperty(kysely, 'pool', {
    get: () =>
      (pool ??= new RoutedPool({
        run: (statement, values) => cluster.run(scope, statement, values),
        checkout: () => cluster.checkout(scope),
      })),
  }) as Database<Schema>
}
