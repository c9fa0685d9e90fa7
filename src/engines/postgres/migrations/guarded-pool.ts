/** A pool for migrations that looks at every statement before it is sent. */

import pg from 'pg'

import type { PostgresPoolClient, PostgresPool } from 'kysely'

/** Called with each statement's text; what it throws, the migration gets, and the statement is not sent. */
export type StatementGuard = (sql: string) => void

export function guardPool(pool: pg.Pool, guard: StatementGuard): PostgresPool {
  const guarded = new WeakSet<pg.PoolClient>()
  return {
    options: pool.options,
    connect: async () => {
      const client = await pool.connect()
      if (!guarded.has(client)) {
        guarded.add(client)
        const query = client.query.bind(client) as (...args: unknown[]) => unknown
        Object.assign(client, {
          query: (first: unknown, ...rest: unknown[]) => {
            guard(typeof first === 'string' ? first : String((first as { text?: unknown }).text))
            return query(first, ...rest)
          },
        })
      }
      return client as unknown as PostgresPoolClient
    },
    end: () => pool.end(),
  }
}
