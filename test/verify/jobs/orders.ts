/** Orders in transactions, by a process beside the system: most commit, some roll back, some are cut off in between. */

import { setTimeout as pause } from 'node:timers/promises'

import { open } from '../../../src/app/open.ts'
import { silentLogger } from '../../../src/core/log.ts'
import { effect } from './app.ts'

import type { Connections } from '../../../src/app/connections.ts'
import type { App } from '../../../src/app/define-app.ts'
import type { Fourfold } from '../../../src/app/fourfold.ts'

export interface Batch {
  readonly batch: number
  readonly numbers: readonly number[]
  /** What its client was told; `unknown`: the connection was lost, or it failed. */
  readonly end: 'committed' | 'rolled back' | 'unknown'
}

export interface OrdersOptions {
  readonly app: App<any>
  readonly connections: Connections
  readonly nextN: () => number
  /** How many are ordered in all. */
  readonly total: number
  readonly batchSize: number
  /** Spread over so long. */
  readonly overMs: number
  /** Planted: the orders are no part of the transaction. */
  readonly beside: boolean
}

/** Every so many transactions roll back. */
const rollsBackEvery = 7

/** Orders until all are; answers every transaction. */
export async function orderInTransactions(options: OrdersOptions): Promise<readonly Batch[]> {
  const { app, connections, total, batchSize, overMs, nextN, beside } = options
  const ff = await open(app, { connections, env: {}, log: silentLogger })
  const batches: Batch[] = []
  const beganMs = performance.now()
  try {
    for (let ordered = 0, batch = 0; ordered < total; batch += 1) {
      const numbers = Array.from({ length: batchSize }, nextN)
      const end = await orderBatch(ff, batch, numbers, beside)
      batches.push({ batch, numbers, end })
      if (end === 'committed') ordered += numbers.length
      if (end === 'unknown') await pause(200)
      const dueMs = beganMs + (overMs * ordered) / total
      if (dueMs > performance.now()) await pause(dueMs - performance.now())
    }
  } finally {
    await ff.close()
  }
  return batches
}

async function orderBatch(
  ff: Fourfold<any>,
  batch: number,
  numbers: readonly number[],
  beside: boolean,
): Promise<Batch['end']> {
  const rollsBack = batch % rollsBackEvery === 3
  try {
    await ff.databases['main']!.transaction().execute(async (trx: any) => {
      await trx.insertInto('batches').values({ batch }).execute()
      await ff.jobs.enqueueMany(
        effect,
        numbers.map((n) => ({ n })),
        beside ? {} : { in: trx },
      )
      if (rollsBack) throw new RolledBack()
    })
    return 'committed'
  } catch (error) {
    return error instanceof RolledBack ? 'rolled back' : 'unknown'
  }
}

class RolledBack extends Error {}
