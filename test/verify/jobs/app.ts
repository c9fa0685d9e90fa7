/**
 * The app that the harness runs with `fourfold start`: a job that leaves a row behind, through a connection that Fourfold knows
 * nothing of, and an address that shows it at level `session`.
 */

import Fastify, { type FastifyInstance } from 'fastify'
import { database, defineApp, defineJob } from 'fourfold'
import { fourfold } from 'fourfold/fastify'
import pg from 'pg'

import { readSystemNote } from '../../../src/app/system-file.ts'

import type { StandardSchema } from '../../../src/jobs/standard-schema.ts'

interface Schema {
  runs: { n: number; attempt: number; token: number }
  effects: { n: number; times: number }
  batches: { batch: number }
}

interface Input {
  readonly n: number
}

const input: StandardSchema<Input> = {
  '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as Input }) },
}

/** A few attempts fail, and a few take longer than a worker that is stopped holds its lease. */
export const effect = defineJob<Input, Input, { n: number; token: number }>({
  name: 'effect',
  input,
  retry: { limit: 50, first: '100ms', factor: 1.2, longest: '2s' },
})

const runEffect = effect.handle(async ({ input: { n }, attempt, token, progress }) => {
  const pool = await outside()
  await pool.query('insert into runs values ($1, $2, $3)', [n, attempt, token])
  if (n % 53 === 0 && attempt === 1) throw new Error('the first attempt of some fails')
  if (n % 41 === 0) progress(0.5, 'half')
  const leave = (): Promise<unknown> =>
    pool.query('insert into effects values ($1, 1) on conflict (n) do update set times = effects.times + 1', [n])
  // These end in the moment in which their worker wakes up: before it can hear that they are another's.
  const isLong = n % longOnes === 0
  if (isLong) await leave()
  await new Promise((resolve) => setTimeout(resolve, durationMs(n, attempt)))
  if (!isLong) await leave()
  return { n, token }
})

/** How many of those that take long there are: one of so many. */
const longOnes = Number(process.env['VERIFY_LONG_ONES'])

/** Some take long; and of those some take longer than a stopped worker sleeps, once another has them. */
function durationMs(n: number, attempt: number): number {
  if (n % longOnes === 0) return attempt === 1 ? 400 : 2_000
  return n % 41 === 0 ? 400 : 0
}

let pool: Promise<pg.Pool> | null = null

/** Its writes move no reader's token: what `done` promises must come from whoever tells it. */
async function outside(): Promise<pg.Pool> {
  pool ??= open()
  return await pool
}

async function open(): Promise<pg.Pool> {
  const note = await readSystemNote(process.env['VERIFY_DATA']!)
  const { primary } = note!.connections.databases['main']!
  const opened = new pg.Pool({ ...(primary as pg.PoolConfig), max: 4, query_timeout: 10_000 })
  opened.on('error', () => undefined)
  return opened
}

export default defineApp({
  databases: { main: database<Schema>({ migrations: './migrations', level: 'session', changeStream: 'off' }) },
  jobs: [runEffect],
  workers: { count: 4, grace: '2s' },
  queue: { recoverWithin: '2s', keep: '1d', keepUpTo: '4GiB' },
  identify: ({ headers }) => (headers['x-reader'] as string | undefined) ?? null,
  server: async (ff): Promise<FastifyInstance> => {
    const app = Fastify()
    await app.register(fourfold, { ff })
    app.post<{ Querystring: { n: string } }>('/order', async (request, reply) =>
      reply.send(await request.ff.jobs.accept(effect, { n: Number(request.query.n) }, request)),
    )
    app.get<{ Params: { n: string } }>('/effect/:n', async (request) => {
      const { main } = request.ff.databases as unknown as (typeof ff)['databases']
      const row = await main
        .selectFrom('effects')
        .select('n')
        .where('n', '=', Number(request.params.n))
        .executeTakeFirst()
      return { seen: row !== undefined }
    })
    return app
  },
})
