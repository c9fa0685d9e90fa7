/**
 * One setting of the system for its time: steady use first, in which the shares of hits are counted; then a storm of
 * writes of all kinds, and one fault after the other; at the end all is read once more.
 */

import { faults, type Fault, type Scene } from './faults.ts'
import { OutsideWriters } from './outside.ts'
import { Traffic, type TrafficOptions } from './traffic.ts'
import { waitFor } from '../../support/wait-for.ts'

import type { Kind } from './write-kinds.ts'
import type { History, PhaseLine } from './history.ts'
import type { Pace } from './pace.ts'
import type { Level } from '../../../src/freshness/level.ts'

export interface Phase {
  readonly name: string
  readonly tiers: PhaseLine['tiers']
  /** Changes to the environment. */
  readonly env: Readonly<Record<string, string>>
}

export interface Run {
  readonly scene: Scene
  readonly history: History
  readonly pace: Pace
  readonly note: (what: string) => void
}

/** Every other one is known by its name, the rest by a cookie. */
export const levels: readonly Level[] = [
  'session',
  'session',
  'monotonic',
  'monotonic',
  'strict',
  'strict',
  'eventual',
  'eventual',
  'session',
  'session',
]
const worksAgainMs = 45_000
const gentleKinds: readonly Kind[] = ['update', 'transaction', 'savepoint', 'put', 'rows of several tables']

export async function usePhase(run: Run, phase: Phase): Promise<void> {
  const { scene, history } = run
  const { url } = scene.system
  const name = phase.name.replaceAll(/\W/g, '')
  const late: string[] = []
  const options: TrafficOptions = { url, history, name, levels, writeShare: 0.005, cachedShare: 0.7, late }
  await useSteadily(run, phase, options)
  history.add({ operation: 'phase', name: `${phase.name}, storm`, tiers: [], invoked: performance.now() })
  await storm(run, { ...options, name: `${name}storm`, writeShare: 0.05 })
  const last = new Traffic({ ...options, name: `${name}last` })
  await waitFor('a last read of everything', () => last.readAll(`${name}last-0`), worksAgainMs)
  await last.stop()
}

/** So many writes to so many reads as apps have, whatever the machine has time for. */
async function useSteadily({ scene, history, pace, note }: Run, phase: Phase, options: TrafficOptions): Promise<void> {
  const traffic = new Traffic(options)
  const { servers } = scene.ground
  const everyReads = { each: 200, reads: () => traffic.answered }
  const rest = { kinds: gentleKinds, everyReads, everyMs: 0, writers: 1, onTable: () => undefined }
  const outside = new OutsideWriters({ servers, history, name: `${options.name}steady`, ...rest })
  traffic.start()
  outside.start()
  const begun = performance.now()
  const until = async (reads: number): Promise<void> => {
    while (traffic.answered < reads && performance.now() - begun < pace.steadyMs) await pause(20)
  }
  await until(pace.warmReads)
  history.add({ operation: 'phase', name: phase.name, tiers: phase.tiers, invoked: performance.now() })
  await until(pace.warmReads + pace.steadyReads)
  await outside.stop()
  await traffic.stop()
  note(`  ${phase.name}, steady: ${traffic.answered} reads in ${Math.round((performance.now() - begun) / 1000)} s`)
}

async function storm(run: Run, options: TrafficOptions): Promise<void> {
  const { scene, history, pace } = run
  const traffic = new Traffic(options)
  const onTable = (key: string): void => void (options.late as string[]).push(key)
  const rest = { everyMs: pace.outsideMs, onTable }
  const outside = new OutsideWriters({ servers: scene.ground.servers, history, name: options.name, ...rest })
  const until = performance.now() + pace.stormMs
  traffic.start()
  outside.start()
  await pause(pace.betweenMs)
  for (const fault of faults.filter(({ quick }) => pace.allFaults || quick)) {
    await inflict(run, fault, options)
    await pause(pace.betweenMs)
  }
  // What the last fault left behind gets its time too.
  await pause(Math.max(pace.betweenMs, until - performance.now()))
  await outside.stop()
  await traffic.stop()
}

/** The fault lasts until what is written can be read again. */
async function inflict({ scene, history, note }: Run, fault: Fault, options: TrafficOptions): Promise<void> {
  const probe = new Traffic({ ...options, name: `${options.name}probe${Math.round(performance.now())}` })
  const invoked = performance.now()
  await fault.run(scene)
  await waitFor(`the system to work after: ${fault.name}`, () => probe.works(), worksAgainMs)
  await probe.stop()
  const returned = performance.now()
  history.add({ operation: 'fault', name: fault.name, invoked, returned })
  note(`  ${fault.name}: works again after ${Math.round(returned - invoked)} ms`)
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
