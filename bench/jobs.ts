/**
 * Jobs against `graphile-worker` 0.18, `pg-boss` 12 and `bullmq` 6, in one run, on one PostgreSQL with a database for each of
 * them (the embedded one, as it comes: every commit is flushed) and one Redis (without a log and snapshots: nothing it
 * was told survives it).
 *
 * Each contender has a process that works, warm from one round to the next; this process orders. Contenders take turns
 * within each round, and nobody works during another's turn. Settings are those that each one's documentation
 * recommends, and the same in all measurements:
 *
 * - `fourfold`: as it comes; the embedded store in a process of its own, as `fourfold start` has it.
 * - `graphile-worker`: as it comes, with a pool for its concurrency. `batched`: `localQueue: { size: 500 }`,
 *   `completeJobBatchDelay: 0` and `failJobBatchDelay: 0`, which its page about performance gives for its own figures.
 *   In a transaction: its SQL function `add_job`.
 * - `pg-boss`: `useListenNotify` and `notify`, `batchSize: 100` with `burstWhenBatchFull`, intervals of polling at their
 *   minimum of 0.5 s, and `localConcurrency` as many workers. A worker handles its batch one after the other and records
 *   it as a whole.
 * - `bullmq, Redis`: as it comes. It has no transactions with a database.
 * - `bullmq, PostgreSQL`: its own backend, on a pool. Orders run on connections of its own: none in a transaction.
 *
 * - `enqueue`: orders one after the other, wall time and CPU time of the process that orders. A transaction writes one row more;
 *   `no order` is one without.
 * - `jobs_per_s`: from the first job that begins until the last is recorded as done, with as many jobs as last about 3 s.
 * - `enqueue to start`: from before the order until its handler begins in the other process; workers of 4, idle. p99 is
 *   of all rounds together.
 * - `recovery`: see `support/jobs-recovery.ts`. graphile-worker (4 h) and pg-boss (`expireInSeconds`, 15 min) are not waited
 *   for as they come.
 * - finished jobs: `--finished=N`, default 1,000,000. graphile-worker deletes them; pg-boss keeps them for 7 days, BullMQ
 *   for ever, Fourfold for 7 days or 1 GiB. One that was done is copied, but in Redis (bytes of memory), where all are done.
 *
 * `--quick` for a few rounds; `--only=enqueue`, `throughput`, `latency`, `browser`, `recovery` or `finished` for parts. Neither
 * writes to `bench/results`.
 */

import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'

import { measureBrowser } from './support/jobs-browser.ts'
import { measureEnqueue } from './support/jobs-enqueue.ts'
import { measureFinished } from './support/jobs-finished.ts'
import { startJobsGround } from './support/jobs-ground.ts'
import { measureRecovery } from './support/jobs-recovery.ts'
import { measureLatency, measureThroughput } from './support/jobs-speed.ts'
import { createReport } from './support/report.ts'

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' }, finished: { type: 'string' } },
})
const { quick, only } = flags
const count = Number(flags.finished ?? (quick ? 20_000 : 1_000_000))
const partial = quick || only !== undefined || flags.finished !== undefined

const ground = await startJobsGround()
const report = createReport({ name: 'jobs', ...(partial && { directory: tmpdir() }) })
const parts: Readonly<Record<string, () => Promise<void>>> = {
  enqueue: () => measureEnqueue(ground, report, quick),
  throughput: () => measureThroughput(ground, report, quick),
  latency: () => measureLatency(ground, report, quick),
  browser: () => measureBrowser(ground, report, quick),
  recovery: () => measureRecovery(ground, report, quick),
  finished: () => measureFinished(ground, report, { quick, count }),
}
let met = false
try {
  for (const [name, measure] of Object.entries(parts)) {
    if (only !== undefined && !only.split(',').includes(name)) continue
    const beganMs = performance.now()
    await measure()
    console.log(`${name}: ${((performance.now() - beganMs) / 1_000).toFixed(1)} s`)
  }
  met = report.finish()
} finally {
  await ground.stop()
}
process.exitCode = met ? 0 : 1
