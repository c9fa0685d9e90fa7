/** One level for its time: calm first, then one fault after the other; at the end everything is read once more. */

import { faults, type Fault, type Scene } from './faults.ts'
import { allKeys, sessions, writeShare, type Pace } from './pace.ts'
import { Traffic } from './traffic.ts'
import { waitFor } from '../../support/wait-for.ts'

import type { DatabaseName, History } from './history.ts'
import type { Level } from '../../../src/freshness/level.ts'

export interface Run {
  readonly scene: Scene
  readonly history: History
  readonly pace: Pace
  /** Reads that were answered so far. */
  readonly reads: Readonly<Record<Level, number>>
  readonly note: (what: string) => void
  /** How often each fault was, so that the databases take turns. */
  readonly inflicted: Map<Fault, number>
}

/** Enough to prove something; on a busy machine that takes longer. */
const leastReads = 400
const worksAgainMs = 30_000

/** Uses the system at one level. */
export async function useLevel(run: Run, level: Level): Promise<void> {
  const { pace, history, scene, reads, note } = run
  note(`level ${level}`)
  const { url } = scene.system
  const traffic = new Traffic({ url, history, level, name: level, sessions, keys: allKeys, writeShare })
  const until = performance.now() + pace.levelMs[level]
  traffic.start()
  await pause(pace.calmMs)
  await waitFor(`enough reads at ${level}`, () => reads[level] > leastReads, 60_000)
  for (const fault of faults) {
    if (!pace.allFaults && !fault.quick.includes(level)) continue
    await inflict(run, fault, level)
    await pause(pace.betweenMs)
  }
  // What the last fault left behind gets its time too.
  await pause(Math.max(pace.lastMs, until - performance.now()))
  await traffic.stop()
  await readAll(run)
}

/** The fault lasts until both databases can be written again. */
async function inflict({ scene, history, note, inflicted }: Run, fault: Fault, level: Level): Promise<void> {
  const times = inflicted.get(fault) ?? 0
  inflicted.set(fault, times + 1)
  const database: DatabaseName = (faults.indexOf(fault) + times) % 2 === 0 ? 'main' : 'own'
  const invoked = performance.now()
  const { url } = scene.system
  const probe = new Traffic({ url, history, level, name: 'probe', sessions: 1, keys: allKeys, writeShare })
  await fault.run(scene, database)
  for (const key of ['main/k0', 'own/k0']) {
    const works = (): Promise<boolean> => probe.once('probe', 'write', key)
    await waitFor(`the system to work after: ${fault.name}`, works, worksAgainMs)
  }
  await probe.stop()
  const returned = performance.now()
  const base = { session: '', level, operation: 'fault', key: database, value: null, clone: '', server: '' } as const
  history.add({ ...base, tier: 'database', invoked, returned, note: fault.name })
  note(`  ${fault.name}: works again after ${Math.round(returned - invoked)} ms`)
}

/** Every key at `strict`, when all is quiet: an acknowledged write that is not there now is lost. */
async function readAll({ scene, history }: Run): Promise<void> {
  const { url } = scene.system
  const traffic = new Traffic({ url, history, level: 'strict', name: 'last', sessions: 1, keys: allKeys, writeShare })
  const read = (key: string): Promise<unknown> =>
    waitFor(`a last read of ${key}`, () => traffic.once('last', 'read', key), worksAgainMs)
  await Promise.all(allKeys.map(read))
  await traffic.stop()
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
