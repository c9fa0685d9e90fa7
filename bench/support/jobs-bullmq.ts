/** BullMQ 6 on Redis, and on PostgreSQL by its own backend. */

import { createPostgresBackend, Queue as BullQueue, runMigrations, Worker as BullWorker } from 'bullmq'
import pg from 'pg'
import { createClient } from 'redis'

import { bytesOfSchema, copyRow, type JobPlaces, type Queue, type QueueClient } from './jobs-queue.ts'

const name = 'trivial'
/** What looks for lost jobs twice finds them within about 2 s. */
const soonest = { lockDuration: 1_000, stalledInterval: 1_000 }

function ordersOf(
  queue: Pick<BullQueue<any>, 'add' | 'addBulk' | 'getJobCounts'>,
): Pick<QueueClient, 'one' | 'many' | 'isDone'> {
  return {
    one: (n) => queue.add(name, { n }),
    many: (count) => queue.addBulk(Array.from({ length: count }, (_, n) => ({ name, data: { n } }))),
    isDone: async () => {
      const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized')
      return Object.values(counts).every((count) => count === 0)
    },
  }
}

function redisOf({ redisUrl }: JobPlaces): { host: string; port: number } {
  const { hostname, port } = new URL(redisUrl)
  return { host: hostname, port: Number(port) }
}

export const bullRedisQueue: Queue = {
  client: async (places) => {
    const queue = new BullQueue<any>(name, { connection: redisOf(places) })
    await queue.waitUntilReady()
    const redis = createClient({ url: places.redisUrl })
    await redis.connect()
    const orders = ordersOf(queue)
    return {
      ...orders,
      clear: async () => void (await redis.flushDb()),
      bytes: async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1] ?? Number.NaN),
      // There is no copying within Redis: they are done.
      grow: async (count, drain) => {
        for (let n = 0; n < count; n += 1_000) await orders.many(Math.min(1_000, count - n))
        await drain()
      },
      close: async () => {
        await queue.close()
        redis.destroy()
      },
    }
  },
  work: async (places, { concurrency, soon, handle }) => {
    const worker = new BullWorker<any>(name, async ({ data }) => await handle(data.n), {
      ...{ connection: redisOf(places), concurrency },
      ...(soon === true && soonest),
    })
    worker.on('error', () => undefined)
    await worker.waitUntilReady()
    return { stop: () => worker.close() }
  },
}

/** Native modules have to hand over a pool; it sets the schema as BullMQ does for its own. */
function poolOf({ address }: JobPlaces, max: number): pg.Pool {
  const pool = new pg.Pool({ ...(address as pg.PoolConfig), max, options: '-c search_path=bullmq', keepAlive: true })
  pool.on('error', () => undefined)
  return pool
}

export const bullPostgresQueue: Queue = {
  client: async (places) => {
    const pool = poolOf(places, 8)
    const client = await pool.connect()
    await runMigrations(client)
    client.release()
    const queue = new BullQueue(name, { connection: pool }, createPostgresBackend)
    await queue.waitUntilReady()
    return {
      ...ordersOf(queue),
      clear: async () => void (await pool.query('truncate job, job_log, job_dependency, event, metrics cascade')),
      bytes: () => bytesOfSchema(pool, 'bullmq'),
      grow: async (count) => {
        const anew = { id: `(1e9::bigint + g)::text`, seq: `nextval('job_seq')` }
        await copyRow(pool, { table: 'bullmq.job', where: `state = 'completed'`, anew }, count)
        await pool.query('vacuum analyze')
      },
      close: async () => {
        await queue.close()
        await pool.end()
      },
    }
  },
  work: async (places, { concurrency, soon, handle }) => {
    const pool = poolOf(places, Math.max(10, concurrency + 2))
    const processor = async ({ data }: { data: { n: number } }): Promise<void> => await handle(data.n)
    const options = { connection: pool, concurrency, ...(soon === true && soonest) }
    const worker = new BullWorker(name, processor, options, createPostgresBackend)
    worker.on('error', () => undefined)
    await worker.waitUntilReady()
    return {
      stop: async () => {
        await worker.close()
        await pool.end()
      },
    }
  },
}
