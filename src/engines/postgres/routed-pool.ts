/**
 * A genuine `pg.Pool` whose statements go through a router: `query` is routed statement by statement, `connect` gives
 * a client on the primary. It opens no connection of its own.
 */

import pg from 'pg'

export type Statement = string | pg.QueryConfig

/** Where statements go. The database cluster implements it for one scope. */
export interface StatementRouter {
  run(statement: Statement, values?: readonly unknown[]): Promise<pg.QueryResult>
  checkout(): Promise<pg.PoolClient>
}

type Callback = (error: Error | null, result?: pg.QueryResult) => void
type ConnectCallback = (
  error: Error | null,
  client?: pg.PoolClient,
  release?: (error?: Error | boolean) => void,
) => void

/** The pool as `pg.Pool` and nothing narrower: declarations cannot say that a narrower overload set is meant. */
export function createRoutedPool(router: StatementRouter): pg.Pool {
  return new RoutedPool(router) as unknown as pg.Pool
}

class RoutedPool extends pg.Pool {
  readonly #router: StatementRouter

  constructor(router: StatementRouter) {
    super({ max: 1 })
    this.#router = router
  }

  // @ts-expect-error -- pg's overload set, narrower here, equal at run time
  override query(statement: Statement, values?: readonly unknown[] | Callback, callback?: Callback): unknown {
    const done = typeof values === 'function' ? values : callback
    const result = this.#router.run(statement, typeof values === 'function' ? undefined : values)
    if (done === undefined) return result
    result.then(
      (value) => done(null, value),
      (error: unknown) => done(error as Error),
    )
    return undefined
  }

  // @ts-expect-error -- pg's overload set, narrower here, equal at run time
  override connect(callback?: ConnectCallback): unknown {
    const client = this.#router.checkout()
    if (callback === undefined) return client
    client.then(
      (value) => callback(null, value, (error) => value.release(error)),
      (error: unknown) => callback(error as Error),
    )
    return undefined
  }
}
