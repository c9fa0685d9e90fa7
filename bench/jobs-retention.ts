/**
 * Ten million finished jobs of Fourfold's: what they take on disc, how much slower the next jobs and a look at one of them
 * are, and what it does to the jobs of that moment when a part of them is emptied.
 *
 * One job was done; the others are copies of it in the partitions that retention fills in turn, so many in each as in
 * every other. All else is as in `npm run bench -- jobs`.
 *
 * - `jobs_per_s`: workers of 4, before and with them.
 * - `find`: one job by its id, any of them.
 * - `emptying`: one call of what workers do every half minute, with a partition that is due.
 * - `enqueue to start`: an order every 10 ms or so, one after the other, meanwhile.
 *
 * `--finished=N` for another number, `--quick` for 100,000: neither writes to `bench/results`.
 */

import { tmpdir } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import pg from 'pg'

import { Naming } from '../src/engines/postgres/naming.ts'
import { overPool } from '../src/jobs/postgres/database.ts'
import { createPostgresJobs } from '../src/jobs/postgres/engine.ts'
import { segments } from '../src/jobs/postgres/schema.ts'
import { ours } from './support/jobs-contenders.ts'
import { startJobsGround, type Contender } from './support/jobs-ground.ts'
import { nowMs } from './support/jobs-queue.ts'
import { quantile } from './support/jobs-rounds.ts'
import { drain, order, timedDrain, usualConcurrency } from './support/jobs-speed.ts'
import { createReport } from './support/report.ts'

import type { JobEngine } from '../src/jobs/engine.ts'

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, finished: { type: 'string' } },
})
const { quick } = flags
const count = Number(flags.finished ?? (quick ? 100_000 : 10_000_000))
const partial = quick || flags.finished !== undefined
const rounds = quick ? 2 : 5
const day = 24 * 3_600_000
const defaults = { keepMs: 7 * day, keepUpTo: 2 ** 30, failedForMs: 21 * day }

const ground = await startJobsGround([ours])
const report = createReport({ name: 'jobs-retention', ...(partial && { directory: tmpdir() }) })
const contender = ground.contenders[0]!
const pool = new pg.Pool({ ...(contender.places.address as pg.PoolConfig), max: 4 })
const engine = createPostgresJobs({ database: overPool(pool, new Naming()) })
const kept = `with ${count.toLocaleString('en')} finished`

function add(metric: string, unit: string, values: readonly number[]): void {
  report.add({ contender: ours, metric, unit, values })
}

async function rates(): Promise<readonly number[]> {
  const drainOnce = timedDrain(quick ? 500 : 3_000)
  const values: number[] = []
  for (let round = 0; round < rounds; round += 1) values.push(await drainOnce(contender, usualConcurrency))
  return values
}

/** Copies the one that was done into every partition, with numbers that the counter of jobs has passed. */
async function grow(): Promise<{ readonly firstId: number; readonly lastId: number }> {
  const { rows: columns } = await pool.query(
    `select column_name as name from information_schema.columns where table_schema = 'fourfold' and table_name = 'finished_jobs'`,
  )
  const names = columns.map(({ name }) => name as string).filter((name) => name !== 'segment' && name !== 'id')
  const { rows } = await pool.query(`select nextval(pg_get_serial_sequence('fourfold.jobs', 'id'))::float8 as first`)
  const firstId = rows[0].first as number
  const each = Math.ceil(count / segments)
  for (let segment = 0; segment < segments; segment += 1) {
    await pool.query(
      `insert into fourfold.finished_jobs (segment, id, ${names.join(', ')})
       select ${segment}, ${firstId} + ${segment * each} + g, ${names.join(', ')}
       from (select * from fourfold.finished_jobs where state = 'done' limit 1) t, generate_series(1, ${each}) g`,
    )
  }
  await pool.query(`select setval(pg_get_serial_sequence('fourfold.jobs', 'id'), ${firstId + segments * each + 1})`)
  await pool.query('vacuum analyze fourfold.finished_jobs')
  await pool.query('checkpoint')
  return { firstId: firstId + 1, lastId: firstId + segments * each }
}

async function findTimes(of: JobEngine, firstId: number, lastId: number): Promise<readonly number[]> {
  const times: number[] = []
  for (let look = 0; look < 1_000; look += 1) {
    const id = String(firstId + Math.floor(Math.random() * (lastId - firstId)))
    const beganMs = nowMs()
    const [found] = await of.find([id])
    if (found?.state !== 'done') throw new Error(`job ${id} was not found`)
    times.push(nowMs() - beganMs)
  }
  return times
}

/** Orders one after the other until told to stop; answers how long each took to begin. */
async function startTimes({ name, places, client, host }: Contender, until: Promise<unknown>): Promise<number[]> {
  const over = new AbortController()
  await host.start({ contender: name, places, concurrency: usualConcurrency, mode: 'tell' })
  void until.finally(() => over.abort())
  const times: number[] = []
  for (let n = 0; !over.signal.aborted || n < 100; n += 1) {
    const begun = host.hear((news) => (news.news === 'begun' && news.n === n ? news.atMs : undefined))
    const orderedMs = nowMs()
    await client.one(n)
    times.push((await begun) - orderedMs)
    await pause(5 + 10 * Math.random())
  }
  await host.rest()
  return times
}

async function makeDue(): Promise<void> {
  await pool.query(`update fourfold.job_segments set began_at = now() - interval '25 hours'`)
}

async function bytesKept(): Promise<number> {
  const { rows } = await pool.query(
    `select sum(pg_total_relation_size(c.oid))::float8 as bytes from pg_class c
     join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'fourfold' and c.relname ~ '^finished_jobs_\\d+$'`,
  )
  return rows[0].bytes as number
}

let met = false
try {
  await contender.client.clear()
  await rates()
  await contender.client.clear()
  const before = await rates()
  await contender.client.clear()
  await order(contender.client, 1)
  await drain(contender, 1, 1)
  const beganMs = nowMs()
  const { firstId, lastId } = await grow()
  console.log(`made ${count} in ${((nowMs() - beganMs) / 1_000).toFixed(0)} s`)
  add(`bytes of each finished job, ${kept}`, 'bytes', [(await bytesKept()) / count])
  const looks = await findTimes(engine, firstId, lastId)
  add(`find, p50, ${kept}`, 'ms', [quantile(looks, 0.5)])
  add(`find, p99, ${kept}`, 'ms', [quantile(looks, 0.99)])
  const after = await rates()
  add('jobs_per_s at 4, without', '/s', before)
  add(`jobs_per_s at 4, ${kept}`, '/s', after)
  report.add({
    ...{ contender: ours, metric: `jobs_per_s at 4: times without, ${kept}`, unit: 'times' },
    values: after.map((value, round) => value / before[round]!),
    goal: { atLeast: 0.9 },
  })
  const calm = await startTimes(contender, pause(quick ? 500 : 5_000))
  add(`enqueue to start, p50, ${kept}`, 'ms', [quantile(calm, 0.5)])
  add(`enqueue to start, slowest of ${calm.length}, ${kept}`, 'ms', [Math.max(...calm)])
  const emptied: number[] = []
  const emptying = (async () => {
    await pause(300)
    for (let turn = 0; turn < 3; turn += 1) {
      await makeDue()
      const startedMs = nowMs()
      await engine.rotate(defaults.keepMs, 1e15, defaults.failedForMs)
      emptied.push(nowMs() - startedMs)
      await pause(500)
    }
  })()
  const meanwhile = await startTimes(contender, emptying)
  await emptying
  add(`emptying one of ${segments} partitions, ${kept}`, 'ms', emptied)
  add(`enqueue to start, slowest of ${meanwhile.length} while three are emptied`, 'ms', [Math.max(...meanwhile)])
  let calls = 0
  for (; (await bytesKept()) > defaults.keepUpTo && calls < 3 * segments; calls += 1) {
    await engine.rotate(defaults.keepMs, defaults.keepUpTo, defaults.failedForMs)
  }
  add('calls until all is within the default of 1 GiB', 'calls', [calls])
  met = report.finish()
} finally {
  await pool.end()
  await ground.stop()
}
process.exitCode = met ? 0 : 1
