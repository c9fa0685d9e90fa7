/** `ff.databases.<name>`: a Kysely instance over the routing, with the same routing as a `pg.Pool` beside it. */

import { Kysely } from 'kysely'

import { routedProps } from './kysely-dialect.ts'
import { ScopedRouter, type Router } from './router.ts'
import { createRoutedPool } from '../engines/postgres/routed-pool.ts'

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

/** The database of one scope. Cheap: connections belong to the cluster, and every request makes one. */
export function createDatabase<Schema>(cluster: Cluster, scope: Scope): Database<Schema> {
  return createRoutedDatabase(new ScopedRouter(cluster, scope))
}

/** A database whose statements go wherever a router sends them. */
export function createRoutedDatabase<Schema>(router: Router): Database<Schema> {
  return new RoutedDatabase<Schema>(router)
}

class RoutedDatabase<Schema> extends Kysely<Schema> {
  readonly #router: Router
  #pool: pg.Pool | null = null

  constructor(router: Router) {
    super(routedProps(router))
    this.#router = router
  }

  get pool(): pg.Pool {
    return (this.#pool ??= createRoutedPool(this.#router))
  }
}
