/**
 * `npm run verify -- jobs [--quick] [--only main|planted]`: jobs of a system started by `fourfold start`, four workers of which
 * are killed and stopped for longer than their leases, and its clones, store and database with them.
 *
 * - Every job whose transaction committed is done, once; none whose transaction rolled back is begun.
 * - Each is completed by the last to have taken it: a worker that wakes up too late is refused, and counted.
 * - Every listener is told `done` once, after all else, also those who come back.
 * - Who is told `done` sees what the job wrote in the very next read.
 * - Breaches that are planted are caught.
 */

import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'

import pg from 'pg'

import { createReport } from '../../bench/support/report.ts'
import { loadApp } from '../../src/app/load-app.ts'
import { readSystemNote } from '../../src/app/system-file.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'
import { plantedEnv } from './consistency/breaches.ts'
import { jobBreaches, type JobBreach } from './jobs/breaches.ts'
import { jobFaults } from './jobs/faults.ts'
import { makeLate } from './jobs/late-replica.ts'
import { judge } from './jobs/ledger.ts'
import { Listeners } from './jobs/listeners.ts'
import { orderInTransactions, type Batch } from './jobs/orders.ts'
import { processesNaming, signalProcess } from './sessions/processes.ts'
import { findPort, System } from './sessions/system.ts'

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
})
const pace = flags.quick
  ? { jobs: 4_000, overMs: 15_000, faultEveryMs: 1_500, listeners: 6, breachJobs: 4_000, breachMs: 20_000 }
  : { jobs: 200_000, overMs: 240_000, faultEveryMs: 3_000, listeners: 20, breachJobs: 6_000, breachMs: 25_000 }
const batchSize = 50
const drainMs = 180_000
const app = fileURLToPath(new URL('jobs/app.ts', import.meta.url))
const begunMs = performance.now()
const note = (what: string): void =>
  console.log(`${((performance.now() - begunMs) / 1000).toFixed(1).padStart(6)} s  ${what}`)
const report = createReport({
  name: 'verify-jobs',
  command: `npm run verify -- jobs${flags.quick ? ' --quick' : ''}`,
  // What is kept in the repository is of whole runs.
  ...((flags.quick || flags.only !== undefined) && { directory: tmpdir() }),
})
const endings: (() => Promise<void>)[] = []
const cleanup = { after: (one: () => Promise<void>): unknown => endings.push(one) }
const directory = await makeDirectory(cleanup, 'verify-jobs-')

interface Outcome {
  readonly violations: readonly string[]
  readonly listeners: Listeners['counts']
  readonly batches: readonly Batch[]
  readonly refused: number
  readonly again: number
  readonly committed: number
  readonly rolledBack: number
  readonly drainedMs: number
}

try {
  if (flags.only !== 'planted') tell(await run({ jobs: pace.jobs, overMs: pace.overMs, env: {}, faults: jobFaults }))
  if (flags.only !== 'main') for (const breach of jobBreaches) await catchBreach(breach)
  await waitFor('every process to end', () => processesNaming(directory).length === 0, 5_000).catch(() => undefined)
  add('processes left behind', 'processes', processesNaming(directory).length, { atMost: 0 })
  add('whole run', 's', (performance.now() - begunMs) / 1000)
  process.exitCode = report.finish() ? 0 : 1
} finally {
  for (const pid of processesNaming(directory)) signalProcess(pid, 'SIGCONT')
  for (const one of endings.toReversed()) await one()
}

interface RunOptions {
  readonly jobs: number
  readonly overMs: number
  readonly env: Readonly<Record<string, string>>
  readonly faults: typeof jobFaults
  /** One job of so many takes long. */
  readonly longOnes?: number
  /** Planted: orders are no part of their transaction. */
  readonly beside?: boolean
}

async function run({ jobs, overMs, env, faults, longOnes = 97, beside = false }: RunOptions): Promise<Outcome> {
  const data = join(directory, `data-${Math.random().toString(36).slice(2)}`)
  let refused = 0
  const system = new System({
    ...{ data, clones: 2, port: await findPort(), app },
    env: { FOURFOLD_LOG_LEVEL: 'warn', VERIFY_DATA: data, VERIFY_LONG_ONES: String(longOnes), ...env },
    hear: (text) => (refused += text.split('the end of a job was refused').length - 1),
  })
  endAfter(cleanup, () => system.stop())
  await system.start()
  note('started')
  const { connections } = (await readSystemNote(data))!
  const client = new pg.Pool({ ...(connections.databases['main']!.primary as pg.PoolConfig), query_timeout: 60_000 })
  client.on('error', () => undefined)
  // Whoever comes first makes the tables and functions: that must be the system, in which breaches are planted.
  await waitFor('four workers', async () => (await workers(client)) === 4)
  let n = 0
  const nextN = (): number => (n += 1)
  const single: number[] = []
  const violations: string[] = []
  const violation = (what: string): void => {
    violations.push(what)
    if (violations.length <= 5) note(`VIOLATION: ${what}`)
  }
  const endLateness = makeLate(connections.databases['main']!.replicas[0]!.address)
  const listeners = new Listeners({
    ...{ url: system.url, count: pace.listeners, nextN, violation },
    ordered: (one) => single.push(one),
  })
  const ordering = orderInTransactions({
    ...{ app: await loadApp(app), connections, nextN, total: jobs, batchSize, overMs, beside },
  })
  const over = new AbortController()
  void ordering.finally(() => over.abort()).catch(() => undefined)
  for (let at = 0; !over.signal.aborted; at += 1) {
    await pause(pace.faultEveryMs)
    const fault = faults[at % Math.max(1, faults.length)]
    if (fault === undefined) continue
    await fault.run({ system, database: client, longOnes }).then(
      () => note(fault.name),
      (error: unknown) => note(`${fault.name}: did not come about: ${String(error)}`),
    )
  }
  const batches = await ordering
  await listeners.stop()
  await endLateness()
  const drainedMs = performance.now()
  await waitFor('all of them to be done', async () => (await open(client).catch(() => 1)) === 0, drainMs).catch(() =>
    violation('some are not done after three minutes'),
  )
  const verdict = await judge(client, batches, single)
  await client.end()
  await system.stop()
  for (const what of verdict.violations) violation(what)
  const { again, committed, rolledBack } = verdict
  return {
    ...{ violations, listeners: listeners.counts, batches, refused, again, committed, rolledBack },
    drainedMs: performance.now() - drainedMs,
  }
}

async function workers(client: pg.Pool): Promise<number> {
  const { rows } = await client.query(`select to_regclass('fourfold.job_workers') is not null as present`)
  if (!rows[0].present) return 0
  return (await client.query(`select from fourfold.job_workers`)).rowCount!
}

async function open(client: pg.Pool): Promise<number> {
  const { rows } = await client.query(`select count(*)::int as n from fourfold.jobs where state <> 'failed'`)
  return rows[0].n as number
}

function tell(outcome: Outcome): void {
  const { violations, listeners, refused, again, committed, rolledBack, batches, drainedMs } = outcome
  add('violations', 'violations', violations.length, { atMost: 0 })
  add('jobs whose transaction committed', 'jobs', committed, { atLeast: pace.jobs })
  add('jobs whose transaction rolled back', 'jobs', rolledBack, { atLeast: pace.jobs / 20 })
  add(
    'transactions of which the client heard nothing',
    'transactions',
    batches.filter(({ end }) => end === 'unknown').length,
  )
  add('attempts beyond the first', 'attempts', again, { atLeast: 1 })
  add('completions of others’ jobs, refused', 'completions', refused, { atLeast: 1 })
  add('listeners told of an end', 'ends', listeners.told, { atLeast: listeners.ordered })
  add('connections of listeners made anew', 'connections', listeners.resumed, { atLeast: flags.quick ? 0 : 1 })
  add('all done after the last order', 'ms', drainedMs)
}

async function catchBreach(breach: JobBreach): Promise<void> {
  const beganMs = performance.now()
  const { violations } = await run({
    ...{
      jobs: pace.breachJobs,
      overMs: pace.breachMs,
      env: breach.plants.length > 0 ? plantedEnv(breach) : {},
      longOnes: 11,
    },
    faults: jobFaults.filter(({ name }) => breach.faults.test(name)),
    beside: breach.beside === true,
  })
  const [first = 'nothing'] = violations
  note(`planted: ${breach.name}: ${violations.length} violations, such as: ${first}`)
  const contender = `planted: ${breach.name}`
  const goal = { atLeast: 1 }
  report.add({ contender, metric: 'violations found', unit: 'violations', values: [violations.length], goal })
  note(`after ${((performance.now() - beganMs) / 1000).toFixed(1)} s`)
}

function add(metric: string, unit: string, value: number, goal?: { atMost: number } | { atLeast: number }): void {
  report.add({ contender: 'fourfold', metric, unit, values: [value], ...(goal && { goal }) })
}
