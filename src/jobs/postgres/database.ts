/** The connections that jobs are kept over: a pool of their own, or the app's. */

import type pg from 'pg'
import type { JobsDatabase, RunStatement } from '../engine.ts'

type Client = Pick<pg.PoolClient, 'query' | 'release'>

/** Over a pool that is there for nothing else. It stays its owner's to end. */
export function overPool(pool: Pick<pg.Pool, 'query' | 'connect'>): JobsDatabase {
  return {
    run: async (text, values) => await pool.query(text, [...values]),
    transaction: async (work) => await inTransaction(await pool.connect(), work),
  }
}

/** On a client that is given back afterwards. */
export async function inTransaction<T>(client: Client, work: (run: RunStatement) => Promise<T>): Promise<T> {
  try {
    await client.query('begin')
    const result = await work(async (text, values) => await client.query(text, [...values]))
    await client.query('commit')
    client.release()
    return result
  } catch (error) {
    const isBack = await client.query('rollback').then(
      () => true,
      () => false,
    )
    client.release(!isBack)
    throw error
  }
}
