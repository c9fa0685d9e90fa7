/** Where the statements of one database go: to the cluster for one scope, or into a fill of the cache. */

import type { Cluster } from './cluster.ts'
import type { Statement, StatementRouter } from '../engines/postgres/routed-pool.ts'
import type { Scope } from '../freshness/scope.ts'
import type pg from 'pg'

export interface Router extends StatementRouter {
  /** The database's name in the app. */
  readonly database: string
  /** Whether a statement provably only reads. */
  isRead(text: string): boolean
  run(statement: Statement, values?: readonly unknown[]): Promise<pg.QueryResult>
  /** A client on the primary. */
  checkout(): Promise<pg.PoolClient>
  /** A client for a read-only transaction. */
  checkoutReader(): Promise<pg.PoolClient>
}

export class ScopedRouter implements Router {
  readonly #cluster: Cluster
  readonly #scope: Scope

  constructor(cluster: Cluster, scope: Scope) {
    this.#cluster = cluster
    this.#scope = scope
  }

  get database(): string {
    return this.#cluster.name
  }

  isRead(text: string): boolean {
    return this.#cluster.isRead(text)
  }

  run(statement: Statement, values?: readonly unknown[]): Promise<pg.QueryResult> {
    return this.#cluster.run(this.#scope, statement, values)
  }

  checkout(): Promise<pg.PoolClient> {
    return this.#cluster.checkout(this.#scope)
  }

  checkoutReader(): Promise<pg.PoolClient> {
    return this.#cluster.checkoutReader(this.#scope)
  }
}
