/**
 * `npm run verify -- consistency [--quick] [--history FILE] [--only main|planted] [--plant RULE]`: readers at every level
 * of replicas, cached queries and cached objects, on a system started by `fourfold start`, with writers inside and outside
 * of the app, while tracker, clones, Redis, replicas and primary are killed, stopped and cut off; then the same with
 * breaches of the protocol planted, each of which must be caught.
 *
 * The verdict comes from `consistency-checker.ts`, which reads nothing but the raw history.
 */

import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { createReport } from '../../bench/support/report.ts'
import { checkFile } from './consistency-checker.ts'
import { fullFloors, quickFloors } from './consistency/floors.ts'
import { openHistory } from './consistency/history.ts'
import { fullPace, quickPace } from './consistency/pace.ts'
import { usePhase, type Phase } from './consistency/phases.ts'
import { breachesOf, plantedEnv, type Breach } from './consistency/breaches.ts'
import { catchBreach } from './consistency/planted.ts'
import { reset } from './consistency/reset.ts'
import { startGround, type Ground } from './consistency/servers.ts'
import { judge } from './consistency/verdict.ts'
import { processesNaming, signalProcess } from './sessions/processes.ts'
import { findPort, System } from './sessions/system.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'
import { fileURLToPath } from 'node:url'

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    history: { type: 'string' },
    only: { type: 'string' },
    plant: { type: 'string' },
  },
})
const pace = flags.quick ? quickPace : fullPace
const floors = flags.quick ? quickFloors : fullFloors
const app = fileURLToPath(new URL('consistency/app.ts', import.meta.url))
const begunMs = performance.now()
const note = (what: string): void =>
  console.log(`${((performance.now() - begunMs) / 1000).toFixed(1).padStart(6)} s  ${what}`)
const command = `npm run verify -- consistency${flags.quick ? ' --quick' : ''}`
const report = createReport({ name: 'consistency', command })

const phases: readonly Phase[] = [
  { name: 'both tiers', tiers: ['memory', 'tier'], env: {} },
  // Room for nothing.
  { name: 'shared tier alone', tiers: ['tier'], env: { FOURFOLD_CACHE_MEMORY: '1B' } },
  { name: 'in process alone', tiers: ['memory'], env: { FOURFOLD_CACHE_TIER_URL: 'none' } },
]

const endings: (() => Promise<void>)[] = []
let ending: Promise<void> | null = null
const cleanup = { after: (one: () => Promise<void>): unknown => endings.push(one) }
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void end().then(() => process.exit(130)))
const directory = await makeDirectory(cleanup, 'consistency-')

try {
  const ground = await timed('servers', () => startGround(directory))
  endAfter(cleanup, () => ground.stop())
  let sound = true
  if (flags.only !== 'planted' && flags.plant === undefined) sound = await verify(ground)
  if (flags.only !== 'main') sound = (await catchAll(ground)) && sound
  await timed('stop', () => ground.stop())
  sound = (await nothingIsLeft()) && sound
  report.add({ contender: 'fourfold', metric: 'whole run', unit: 's', values: [(performance.now() - begunMs) / 1000] })
  process.exitCode = report.finish() && sound ? 0 : 1
} finally {
  await end()
}

async function verify(ground: Ground): Promise<boolean> {
  const path = flags.history ?? join(directory, 'history.jsonl')
  const history = openHistory(path)
  const run = { history, pace, note }
  for (const phase of flags.quick ? phases.slice(0, 1) : phases) {
    await withSystem(ground, phase.env, async (system) => {
      const scene = { system, ground, stoppedMs: pace.stoppedMs }
      await timed(phase.name, () => usePhase({ ...run, scene }, phase))
    })
  }
  await history.close()
  return judge(await checkFile(path), report, floors)
}

async function catchAll(ground: Ground): Promise<boolean> {
  let all = true
  for (const breach of breachesOf(flags)) {
    await reset(ground)
    const ms = await withSystem(ground, plantedEnv(breach), (system) => catchOne(system, ground, breach))
    const contender = `planted: rule ${breach.rule}: ${breach.name}`
    const values = [ms ?? Number.POSITIVE_INFINITY]
    report.add({ contender, metric: 'caught after', unit: 'ms', values, goal: { atMost: pace.breachMs } })
    all &&= ms !== null
  }
  return all
}

async function catchOne(system: System, ground: Ground, breach: Breach): Promise<number | null> {
  const scene = { system, ground, stoppedMs: pace.stoppedMs }
  const path = join(directory, `planted-${breach.rule}.jsonl`)
  const caught = await catchBreach({ scene, breach, withinMs: pace.breachMs, path })
  const how = caught === null ? 'NOT CAUGHT' : `caught after ${Math.round(caught.ms)} ms: ${caught.violation.what}`
  note(`planted: rule ${breach.rule}: ${breach.name}: ${how}`)
  return caught?.ms ?? null
}

async function withSystem<T>(
  ground: Ground,
  env: Readonly<Record<string, string>>,
  work: (system: System) => Promise<T>,
): Promise<T> {
  const data = join(directory, 'data')
  const port = await findPort()
  // Every process of every start compiles the same sources.
  const compiled = { NODE_COMPILE_CACHE: join(directory, 'compiled') }
  const system = new System({ data, clones: pace.clones, port, env: { ...compiled, ...ground.env, ...env }, app })
  endAfter(cleanup, () => system.stop())
  await timed('start', () => system.start())
  try {
    return await work(system)
  } finally {
    await system.stop()
  }
}

/** Nothing may be left of the system when it has stopped, nor of the servers beside it. */
async function nothingIsLeft(): Promise<boolean> {
  await waitFor('every process to end', () => processesNaming(directory).length === 0, 5_000).catch(() => undefined)
  const values = [processesNaming(directory).length]
  report.add({ contender: 'fourfold', metric: 'processes left behind', unit: 'processes', values, goal: { atMost: 0 } })
  return values[0] === 0
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
