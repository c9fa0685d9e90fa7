/** graphile-worker 0.18, as it comes and with the batching that its page about performance recommends. */

import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'

import { bytesOfSchema, type Queue } from './jobs-queue.ts'

import type { PostgresAddress } from '../../src/engines/postgres/address.ts'

const logger = new Logger(() => () => undefined)
const task = 'trivial'
/** The configuration that https://worker.graphile.org/docs/performance gives for its own figures. */
const batching = { localQueue: { size: 500 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }

/** With the listeners that it asks for. */
function poolOf(address: PostgresAddress, max: number): pg.Pool {
  const pool = new pg.Pool({ ...(address as pg.PoolConfig), max })
  pool.on('error', () => undefined)
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

export function graphileQueue(kind: 'unbatched' | 'batched'): Queue {
  return {
    client: async ({ address }) => {
      const pool = poolOf(address, 8)
      const utils = await makeWorkerUtils({ pgPool: pool, logger })
      await utils.migrate()
      return {
        one: (n) => utils.addJob(task, { n }),
        many: (count) => utils.addJobs(Array.from({ length: count }, (_, n) => ({ identifier: task, payload: { n } }))),
        within: (client, n) =>
          client.query('select graphile_worker.add_job($1, $2::json)', [task, JSON.stringify({ n })]),
        isDone: async () => {
          const { rows } = await pool.query('select exists (select from graphile_worker._private_jobs) as some')
          return rows[0].some === false
        },
        clear: async () => void (await pool.query('truncate graphile_worker._private_jobs')),
        bytes: () => bytesOfSchema(pool, 'graphile_worker'),
        close: async () => {
          await utils.release()
          await pool.end()
        },
      }
    },
    work: async ({ address }, { concurrency, handle }) => {
      const pool = poolOf(address, Math.max(10, concurrency + 1))
      const runner = await run({
        pgPool: pool,
        preset: { worker: { concurrentJobs: concurrency, ...(kind === 'batched' && batching), logger } },
        noHandleSignals: true,
        parsedCronItems: [],
        taskList: { [task]: async (payload) => await handle((payload as { n: number }).n) },
      })
      return {
        stop: async () => {
          await runner.stop()
          await pool.end()
        },
      }
    },
  }
}
