/** One setting of the system for its time: calm first, then one fault after the other; at the end all is read once more. */

import { faults, type Fault, type Scene } from './faults.ts'
import { OutsideWriters } from './outside.ts'
import { Traffic, type TrafficOptions } from './traffic.ts'
import { waitFor } from '../../support/wait-for.ts'

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

export async function usePhase({ scene, history, pace, note }: Run, phase: Phase, faulty: boolean): Promise<void> {
  const { system, ground } = scene
  const { url } = system
  history.add({ operation: 'phase', name: phase.name, tiers: phase.tiers, invoked: performance.now() })
  const name = phase.name.replaceAll(/\W/g, '')
  const late: string[] = []
  const options: TrafficOptions = { url, history, name, levels, writeShare: 0.02, cachedShare: 0.7, late }
  const traffic = new Traffic(options)
  const onTable = (key: string): void => void late.push(key)
  const outside = new OutsideWriters({
    ...pace,
    servers: ground.servers,
    history,
    name,
    everyMs: pace.outsideMs,
    onTable,
  })
  const until = performance.now() + pace.phaseMs
  traffic.start()
  outside.start()
  await pause(pace.calmMs)
  for (const fault of faulty ? order(faults, pace) : []) {
    await inflict({ scene, history, pace, note }, fault, options)
    await pause(pace.betweenMs)
  }
  // What the last fault left behind gets its time too.
  await pause(Math.max(pace.betweenMs, until - performance.now()))
  await outside.stop()
  await traffic.stop()
  const last = new Traffic({ ...options, name: `${name}last` })
  await waitFor('a last read of everything', () => last.readAll(`${name}last-0`), worksAgainMs)
  await last.stop()
}

function order(all: readonly Fault[], { allFaults }: Pace): readonly Fault[] {
  return allFaults ? all : all.filter(({ quick }) => quick)
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
