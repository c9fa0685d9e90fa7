/**
 * `npm run verify -- sessions [--quick] [--history FILE] [--only main|plants]`: readers and writers over random clones
 * at each level, while replicas, clones, the store, the supervisor and a backend of the primary are killed or stopped;
 * then the same with breaches of the protocol planted, each of which must be caught.
 *
 * The verdict comes from `sessions-checker.ts`, which reads nothing but the raw history.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'

import { createReport, type Report } from '../../bench/support/report.ts'
import { Checker, checkFile, maxStalenessMs, missedFloors, type Findings } from './sessions-checker.ts'
import { faults, usualDelayMs, type Fault } from './sessions/faults.ts'
import { openHistory, type History } from './sessions/history.ts'
import { plantNames, plants, type Plant } from './sessions/breaches.ts'
import { SystemHandle } from './sessions/system-handle.ts'
import { Traffic, type TrafficOptions } from './sessions/traffic.ts'
import { waitFor } from '../support/wait-for.ts'
import { levels, type Level } from '../../src/freshness/level.ts'

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, history: { type: 'string' }, only: { type: 'string' } },
})

interface Pace {
  /** How long each level is used, in milliseconds. */
  readonly levelMs: Record<Level, number>
  readonly calmMs: number
  readonly stoppedMs: number
  readonly plantMs: number
}

const full: Pace = {
  levelMs: { eventual: 60_000, session: 60_000, monotonic: 60_000, strict: 60_000 },
  calmMs: 12_000,
  stoppedMs: 2_000,
  plantMs: 60_000,
}
const quick: Pace = {
  levelMs: { eventual: 3_000, session: 12_000, monotonic: 2_000, strict: 2_000 },
  calmMs: 2_000,
  stoppedMs: 600,
  plantMs: 15_000,
}
const pace = flags.quick ? quick : full

const keys = Array.from({ length: 24 }, (_, index) => `k${index}`)
const sessionCount = 12
const writeShare = 0.1
const now = (): number => performance.now()
const note = (what: string): void => console.log(`${(now() / 1000).toFixed(1).padStart(6)} s  ${what}`)

const directory = await mkdtemp(join(tmpdir(), 'ff-verify-'))
const systems: SystemHandle[] = []
try {
  process.exitCode = (await run()) ? 0 : 1
} finally {
  await Promise.all(systems.map((system) => system.stop().catch(() => undefined)))
  await rm(directory, { recursive: true, force: true })
}

async function run(): Promise<boolean> {
  const report = createReport({
    name: 'sessions',
    command: `npm run verify -- sessions${flags.quick ? ' --quick' : ''}`,
  })
  let sound = true
  const system = await startSystem('main', true, 3)
  if (flags.only !== 'plants') {
    const path = flags.history ?? join(directory, 'history.jsonl')
    const reads: Record<Level, number> = { eventual: 0, session: 0, monotonic: 0, strict: 0 }
    const history = openHistory(path, (line) => {
      if (line.operation === 'read' && line.value !== null) reads[line.level] += 1
    })
    for (const level of ['session', 'monotonic', 'strict', 'eventual'] satisfies Level[])
      await useLevel(system, history, level, reads)
    await history.close()
    const findings = await checkFile(path)
    sound = judge(findings, report)
  }
  if (flags.only !== 'main') sound = (await catchPlants(system, report)) && sound
  const met = report.finish()
  return sound && met
}

async function startSystem(name: string, healStandbys: boolean, clones: number): Promise<SystemHandle> {
  const secret = randomBytes(32).toString('hex')
  const system = new SystemHandle({
    directory: join(directory, name),
    clones,
    keys,
    healStandbys,
    secret,
    maxStalenessMs,
  })
  systems.push(system)
  await system.start()
  note(`system ${name} is up: ${clones} clones, a primary, 2 replicas and an endpoint before both`)
  if (healStandbys) await system.delayReplica(0, usualDelayMs)
  return system
}

/** One level for its time: calm first, then one fault after the other; at the end everything is read once more. */
async function useLevel(
  system: SystemHandle,
  history: History,
  level: Level,
  reads: Record<Level, number>,
): Promise<void> {
  // While the primary is down nobody knows how old a replica is; the promise is only checked where it is then refused.
  if (level === 'eventual') await system.change({ plant: '', onPrimaryDown: 'refuse', maxStalenessMs })
  note(`level ${level}`)
  const traffic = makeTraffic(system, history, level, level)
  const until = now() + pace.levelMs[level]
  traffic.start()
  await pause(Math.min(pace.calmMs, pace.levelMs[level] / 2))
  // On a slow machine it takes longer until there are enough to prove anything.
  await waitFor(`enough reads at ${level}`, () => reads[level] > 400, 60_000)
  // In a quick run the levels that read the primary get one fault only.
  const all = flags.quick && level !== 'session' ? faults.slice(0, 1) : faults
  for (const fault of all) await inflict(fault, system, history, traffic, level)
  await pause(Math.max(0, until - now()))
  await traffic.stop()
  await readAll(system, history)
}

async function inflict(
  fault: Fault,
  system: SystemHandle,
  history: History,
  traffic: Traffic,
  level: Level,
): Promise<void> {
  const invoked = now()
  await fault.run(system, pace.stoppedMs)
  await waitFor(`the system to work after: ${fault.name}`, () => traffic.once('probe', 'write', keys[0] ?? ''), 30_000)
  const base = {
    session: '',
    level,
    operation: 'fault',
    key: '',
    value: null,
    clone: '',
    server: '',
    tier: 'database',
  } as const
  history.add({ ...base, invoked, returned: now(), note: fault.name })
  note(`  ${fault.name}: working again after ${Math.round(now() - invoked)} ms`)
  if (!flags.quick) await pause(1_000)
}

/** Every key at `strict`, when all is quiet: an acknowledged write that is not there now is lost. */
async function readAll(system: SystemHandle, history: History): Promise<void> {
  const traffic = makeTraffic(system, history, 'strict', 'last')
  for (const key of keys) await waitFor(`a last read of ${key}`, () => traffic.once('last', 'read', key), 20_000)
  await traffic.stop()
}

function makeTraffic(
  system: SystemHandle,
  history: History,
  level: Level,
  name: string,
  more: Partial<TrafficOptions> = {},
): Traffic {
  return new Traffic({ system, history, level, name, sessions: sessionCount, keys, writeShare, now, ...more })
}

function judge(findings: Findings, report: Report): boolean {
  const { violations, lostWrites, calmSessionReads, calmSessionReplicaReads } = findings
  const add = (metric: string, unit: string, value: number, goal?: { atMost: number } | { atLeast: number }): void =>
    report.add({ contender: 'fourfold', metric, unit, values: [value], goal })
  for (const level of levels) {
    add(`reads at ${level}`, 'reads', findings.reads[level])
    add(`violations at ${level}`, 'reads', violations.filter(({ line }) => line.level === level).length, { atMost: 0 })
  }
  add('writes acknowledged', 'writes', findings.writes)
  add('writes lost', 'writes', lostWrites.length, { atMost: 0 })
  add('operations that failed', 'operations', findings.failed)
  add(
    'faults',
    'faults',
    Object.values(findings.faults).reduce((sum, count) => sum + count, 0),
  )
  add('session reads on replicas, no fault', 'fraction', calmSessionReplicaReads / Math.max(1, calmSessionReads), {
    atLeast: 0.6,
  })
  for (const { what, line } of [...violations, ...lostWrites].slice(0, 10))
    console.log(`VIOLATION ${what}: ${JSON.stringify(line)}`)
  const missed = missedFloors(findings)
  for (const floor of missed) console.log(`FLOOR MISSED ${floor}`)
  return violations.length + lostWrites.length + missed.length === 0
}

/** Each breach runs until the checker finds it. */
async function catchPlants(system: SystemHandle, report: Report): Promise<boolean> {
  let all = true
  // The last one needs a system of its own, which can start while the others are caught.
  const other = startSystem('failover', false, flags.quick ? 1 : 3)
  other.catch(() => undefined)
  for (const name of plants) {
    const caughtMs =
      name === 'epoch-ignored' ? await catchAfterFailover(await other, report) : await catchPlant(system, name)
    all &&= caughtMs !== null
    note(
      `  planted: ${plantNames[name]}: ${caughtMs === null ? 'NOT CAUGHT' : `caught after ${Math.round(caughtMs)} ms`}`,
    )
    if (caughtMs !== null) {
      report.add({
        contender: `planted: ${plantNames[name]}`,
        metric: 'caught after',
        unit: 'ms',
        values: [caughtMs],
        goal: { atMost: pace.plantMs },
      })
    }
  }
  return all
}

async function catchPlant(
  system: SystemHandle,
  name: Plant | '',
  more: Partial<TrafficOptions> = {},
  ms = pace.plantMs,
): Promise<number | null> {
  await system.change({ plant: name, onPrimaryDown: 'serve', maxStalenessMs })
  const checker = new Checker({ maxStalenessMs })
  const begun = now()
  const caught: { ms: number | null } = { ms: null }
  const history = openHistory(join(directory, `plant-${name}.jsonl`), (line) => {
    if (checker.add(line) !== null) caught.ms ??= line.returned - begun
  })
  const traffic = makeTraffic(system, history, 'session', `plant-${name}`, { writeShare: 0.2, ...more })
  traffic.start()
  while (caught.ms === null && now() - begun < ms) await pause(10)
  await traffic.stop()
  await history.close()
  return caught.ms
}

/** Without epochs, a replica on another history, ahead of the promoted primary, looks fresh. With them nothing is wrong. */
async function catchAfterFailover(system: SystemHandle, report: Report): Promise<number | null> {
  await system.failOver()
  note('  failed over; one replica stands on a history of its own, ahead of the new primary')
  const wrong = await catchPlant(system, '', { autocommitOnly: true }, flags.quick ? 2_000 : 10_000)
  report.add({
    contender: 'fourfold',
    metric: 'violations after a failover',
    unit: 'reads',
    values: [wrong === null ? 0 : 1],
    goal: { atMost: 0 },
  })
  const caught = await catchPlant(system, 'epoch-ignored', { autocommitOnly: true })
  await system.stop()
  return caught
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
