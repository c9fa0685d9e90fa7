/**
 * `npm run verify -- sessions [--quick] [--history FILE] [--only main|planted]`: readers and writers at each level on a
 * system started by `fourfold start`, through its balancer, while replicas, clones, the store, the balancer, the
 * supervisor and backends of the primary are killed or stopped; then the same with breaches of the protocol planted,
 * each of which must be caught.
 *
 * The app has two databases: one embedded, one outside, of whose two replicas there is a third address, a round-robin
 * endpoint before both. The verdict comes from `sessions-checker.ts`, which reads nothing but the raw history.
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { createReport } from '../../bench/support/report.ts'
import { checkFile } from './sessions-checker.ts'
import { breaches, breachFileVariable, breachNames, type Breach } from './sessions/breaches.ts'
import { failOver } from './sessions/failover.ts'
import { delayAsUsual, type Scene } from './sessions/faults.ts'
import { openHistory } from './sessions/history.ts'
import { useLevel, type Run } from './sessions/levels.ts'
import { fullPace, quickPace } from './sessions/pace.ts'
import { catchBreach, type Planting } from './sessions/planted.ts'
import { processesNaming, signalProcess } from './sessions/processes.ts'
import { Servers, startOutsideCluster, type OutsideCluster } from './sessions/servers.ts'
import { findPort, System } from './sessions/system.ts'
import { judge } from './sessions/verdict.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Level } from '../../src/freshness/level.ts'

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, history: { type: 'string' }, only: { type: 'string' } },
})
const pace = flags.quick ? quickPace : fullPace
const begunMs = performance.now()
const note = (what: string): void =>
  console.log(`${((performance.now() - begunMs) / 1000).toFixed(1).padStart(6)} s  ${what}`)
const report = createReport({ name: 'sessions', command: `npm run verify -- sessions${flags.quick ? ' --quick' : ''}` })

/** What both databases are told for the level `eventual`, see {@link useLevels}. */
const refuse = { FOURFOLD_DATABASES_MAIN_ON_PRIMARY_DOWN: 'refuse', FOURFOLD_DATABASES_OWN_ON_PRIMARY_DOWN: 'refuse' }

const endings: (() => Promise<void>)[] = []
let ending: Promise<void> | null = null
const cleanup = { after: (one: () => Promise<void>): unknown => endings.push(one) }
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void end().then(() => process.exit(130)))
const directory = await makeDirectory(cleanup, 'verify-')

try {
  const sound = await verify()
  report.add({ contender: 'fourfold', metric: 'whole run', unit: 's', values: [(performance.now() - begunMs) / 1000] })
  process.exitCode = report.finish() && sound ? 0 : 1
} finally {
  await end()
}

async function verify(): Promise<boolean> {
  const breachFile = join(directory, 'breach')
  await writeFile(breachFile, '')
  const { scene, cluster } = await startAll()
  const start = (env: Readonly<Record<string, string>>): Promise<void> =>
    timed('start', async () => {
      await scene.system.start(env)
      await delayAsUsual(scene.servers)
    })
  let sound = true
  if (flags.only === 'planted') await start({ [breachFileVariable]: breachFile })
  else {
    await start({})
    sound = await useLevels({ ...scene, restartEnv: { ...refuse, [breachFileVariable]: breachFile } })
  }
  const planting = { system: scene.system, breachFile, historyPrefix: join(directory, 'planted-') }
  if (flags.only !== 'main') sound = (await catchAll(planting, cluster)) && sound
  await stopAll(scene.system, cluster)
  return sound
}

/** The cluster outside, and the system, which is yet to be started. */
async function startAll(): Promise<{ scene: Scene; cluster: OutsideCluster }> {
  const cluster = await timed('cluster outside', () => startOutsideCluster(join(directory, 'outside')))
  endAfter(cleanup, () => cluster.stop())
  const data = join(directory, 'data')
  const system = new System({ data, clones: pace.clones, port: await findPort(), env: cluster.env })
  endAfter(cleanup, () => system.stop())
  const servers = { main: cluster.servers, own: new Servers(join(data, 'databases', 'own')) }
  return { scene: { system, servers, stoppedMs: pace.stoppedMs, restartEnv: {} }, cluster }
}

/**
 * While the primary is down nobody knows how old a replica is; the promise of `eventual` holds only where it is then
 * refused. The start that follows the last fault at `session` brings that configuration, and lets breaches be planted:
 * `monotonic` and `strict` read the primary anyway.
 */
async function useLevels(scene: Scene): Promise<boolean> {
  const path = flags.history ?? join(directory, 'history.jsonl')
  const reads: Record<Level, number> = { eventual: 0, session: 0, monotonic: 0, strict: 0 }
  const history = openHistory(path, (line) => {
    if (line.operation === 'read' && line.value !== null) reads[line.level] += 1
  })
  const run: Run = { scene, history, pace, reads, note, inflicted: new Map() }
  for (const level of ['session', 'monotonic', 'strict', 'eventual'] as const) {
    await timed(`level ${level}`, () => useLevel(run, level))
  }
  await history.close()
  return judge(await checkFile(path), report, scene.system.failedStarts)
}

async function catchAll(planting: Planting, cluster: OutsideCluster): Promise<boolean> {
  let all = true
  for (const breach of breaches) {
    if (breach === 'epoch-ignored') await changePrimary(planting, cluster)
    const caught = await timed(breachNames[breach], () => catchRounds(planting, breach))
    all &&= caught
  }
  return all
}

async function catchRounds(planting: Planting, breach: Breach): Promise<boolean> {
  const values: number[] = []
  for (let round = 0; round < pace.breachRounds; round += 1) {
    const ms = await catchBreach(planting, breach, pace.breachMs)
    note(`  planted: ${breachNames[breach]}: ${ms === null ? 'NOT CAUGHT' : `caught after ${Math.round(ms)} ms`}`)
    if (ms === null) return false
    values.push(ms)
  }
  const contender = `planted: ${breachNames[breach]}`
  report.add({ contender, metric: 'caught after', unit: 'ms', values, goal: { atMost: pace.breachMs } })
  return true
}

/** Without epochs, a replica on another history, ahead of the promoted primary, looks fresh. With them nothing is wrong. */
async function changePrimary(planting: Planting, cluster: OutsideCluster): Promise<void> {
  const { system } = planting
  await writeFile(planting.breachFile, '')
  await timed('failover', async () => {
    await system.stop()
    await failOver(cluster.servers)
    await system.start(cluster.envAfterFailover)
  })
  const wrong = await timed('after the failover', () => catchBreach(planting, null, pace.afterFailoverMs))
  const values = [wrong === null ? 0 : 1]
  report.add({
    contender: 'fourfold',
    metric: 'violations after a failover',
    unit: 'reads',
    values,
    goal: { atMost: 0 },
  })
}

/** Nothing may be left of the system when it has stopped, nor of the cluster beside it. */
async function stopAll(system: System, cluster: OutsideCluster): Promise<void> {
  await timed('stop', async () => {
    await system.stop()
    await cluster.stop()
  })
  await waitFor('every process to end', () => processesNaming(directory).length === 0, 5_000).catch(() => undefined)
  const values = [processesNaming(directory).length]
  report.add({ contender: 'fourfold', metric: 'processes left behind', unit: 'processes', values, goal: { atMost: 0 } })
}

/** Runs a phase and records how long it took. */
async function timed<T>(phase: string, work: () => Promise<T>): Promise<T> {
  const begun = performance.now()
  const result = await work()
  const seconds = (performance.now() - begun) / 1000
  note(`${phase}: ${seconds.toFixed(1)} s`)
  report.add({ contender: `phase: ${phase}`, metric: 'took', unit: 's', values: [seconds] })
  return result
}

/** Stops everything, once, whoever asks. */
function end(): Promise<void> {
  ending ??= (async () => {
    // An interrupted run may have stopped somebody.
    for (const pid of processesNaming(directory)) signalProcess(pid, 'SIGCONT')
    for (const one of endings) await one()
  })()
  return ending
}
