/** Fourfold as `fourfold start` runs it: the app's own database, and the embedded store in a process of its own. */

import { createServer } from 'node:http'

import { database, defineApp, defineJob, open, type Fourfold, type StandardSchema } from 'fourfold'
import { sendResponse, withFourfold } from 'fourfold/node'
import pg from 'pg'

import { silentLogger } from '../../src/core/log.ts'
import { bytesOfSchema, copyRow, type JobPlaces, type Queue, type Worker, type WorkOptions } from './jobs-queue.ts'

import type { AddressInfo } from 'node:net'

interface Input {
  readonly n: number
}

const input: StandardSchema<Input> = {
  '~standard': { version: 1, vendor: 'bench', validate: (value) => ({ value: value as Input }) },
}
const trivial = defineJob<Input>({ name: 'trivial', input })
/** A clone that orders uses no more of the server than a pool of this size. */
const poolSize = 8

async function openApp(
  { dataDir, connections }: JobPlaces,
  { concurrency, soon, handle }: Partial<WorkOptions>,
): Promise<Fourfold<any>> {
  const app = defineApp({
    databases: { main: database<any>({ replicas: 0, changeStream: 'off' }) },
    jobs: [trivial.handle(async ({ input: { n } }) => await handle?.(n))],
    ...(concurrency !== undefined && { workers: { concurrency } }),
    ...(soon === true && { queue: { recoverWithin: '2s' } }),
    identify: ({ headers }) => (headers['x-reader'] as string | undefined) ?? null,
  })
  const databases = { main: { ...connections.databases['main']!, poolSize } }
  return (await open(app, {
    env: {},
    config: { dataDir },
    connections: { ...connections, databases },
    log: silentLogger,
  })) as Fourfold<any>
}

export const fourfoldQueue: Queue = {
  client: async (places) => {
    const ff = await openApp(places, {})
    // Makes the tables.
    await ff.jobs.counts()
    const pool = new pg.Pool({ ...(places.address as pg.PoolConfig), max: 1 })
    return {
      one: (n) => ff.jobs.enqueue(trivial, { n }),
      many: (count) =>
        ff.jobs.enqueueMany(
          trivial,
          Array.from({ length: count }, (_, n) => ({ n })),
        ),
      within: (client, n) => ff.jobs.enqueue(trivial, { n }, { in: client }),
      isDone: async () => {
        const { rows } = await pool.query('select exists (select from fourfold.jobs) as some')
        return rows[0].some === false
      },
      clear: async () => void (await pool.query('truncate fourfold.jobs, fourfold.finished_jobs')),
      bytes: () => bytesOfSchema(pool, 'fourfold'),
      // Numbers that the counter of jobs has passed, as if they had been done.
      grow: async (count) => {
        const first = `nextval(pg_get_serial_sequence('fourfold.jobs', 'id'))`
        await copyRow(pool, { table: 'fourfold.finished_jobs', where: `state = 'done'`, anew: { id: first } }, count)
        await pool.query('vacuum analyze')
      },
      close: async () => {
        await ff.close()
        await pool.end()
      },
    }
  },
  work: async (places, options): Promise<Worker> => {
    const ff = await openApp(places, options)
    ff.jobs.start()
    return { stop: () => ff.close() }
  },
}

/** A small server whose one address orders a job; answers its port. */
export async function serveOrders(places: JobPlaces): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const ff = await openApp(places, {})
  const server = createServer(
    withFourfold(ff, async (request, response) => {
      await sendResponse(response, await request.ff.jobs.accept(trivial, { n: 0 }, request))
    }),
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await ff.close()
    },
  }
}
