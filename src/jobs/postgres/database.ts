/** The connections that jobs are kept over: a pool of their own, or the app's. */

import { sendNamed, type Naming } from '../../engines/postgres/naming.ts'

import { CALL_SQL } from './calls.ts'
import { CALL_CLAIM_FEW_SQL, CALL_CLAIM_SQL, CALL_COMPLETE_SQL } from './functions.ts'
import { ORDER_ONE_SQL, ORDER_SQL } from './orders.ts'

import type pg from 'pg'
import type { JobsDatabase, RunStatement } from '../engine.ts'

/** What there is nothing to choose in: plans of these are right however large their tables have become. */
const keptPlans: ReadonlySet<string> = new Set([
  ORDER_SQL,
  ORDER_ONE_SQL,
  CALL_SQL,
  CALL_CLAIM_SQL,
  CALL_CLAIM_FEW_SQL,
  CALL_COMPLETE_SQL,
])

type Client = Pick<pg.PoolClient, 'query' | 'release'>

/** A statement as pg and Fourfold's own clients take it. */
export interface SentStatement {
  readonly name?: string
  readonly text: string
  readonly behind?: string
}

/** What runs statements of their own, by `send`. */
export function runBy(
  naming: Naming,
  send: (statement: SentStatement, values: unknown[]) => ReturnType<RunStatement>,
): RunStatement {
  return async (text, values, behind) => {
    const rest = behind === undefined ? { text } : { text, behind }
    if (!keptPlans.has(text)) return await send(rest, [...values])
    return await sendNamed(naming, text, async (name) => {
      return await send(name === undefined ? rest : { ...rest, name }, [...values])
    })
  }
}

/** Over a pool that is there for nothing else. It stays its owner's to end. */
export function overPool(pool: Pick<pg.Pool, 'query' | 'connect'>, naming: Naming): JobsDatabase {
  return {
    run: runBy(naming, async (statement, values) => await pool.query(statement, values)),
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
