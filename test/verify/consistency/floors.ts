/** What a run must reach for its zero violations to prove anything (FRESHNESS, Proof). */

import { kindsOfWrites } from './write-kinds.ts'

import type { Counts } from './counts.ts'

export interface Floors {
  /** Reads that were answered, at each level. */
  readonly readsAtLevel: number
  /** Acknowledged writes of each kind, by the app and from outside. */
  readonly writesOfKind: number
  /** What must have been hit by faults: words of their names. */
  readonly faulted: readonly string[]
  readonly replicaShare: number
  readonly hitShare: number
}

export const fullFloors: Floors = {
  readsAtLevel: 5_000,
  writesOfKind: 10,
  faulted: ['tracker', 'clone', 'Redis', 'replica', 'primary', 'standby', 'cut off', 'newest entries'],
  replicaShare: 0.6,
  hitShare: 0.7,
}

export const quickFloors: Floors = {
  ...fullFloors,
  readsAtLevel: 200,
  writesOfKind: 1,
  faulted: ['tracker', 'clone', 'Redis'],
  // Minutes are needed for a share that chance does not move.
  replicaShare: 0.5,
  hitShare: 0.5,
}

/** What was not reached, in words. */
export function missedFloors(counts: Counts, floors: Floors = fullFloors): readonly string[] {
  const missed: string[] = []
  const expect = (what: string, value: number, least: number): void => {
    if (!(value >= least)) missed.push(`${what}: ${round(value)}, at least ${least} expected`)
  }
  for (const [level, reads] of Object.entries(counts.reads)) expect(`reads at ${level}`, reads, floors.readsAtLevel)
  for (const kind of kindsOfWrites) expect(`writes: ${kind}`, counts.writes[kind] ?? 0, floors.writesOfKind)
  const { reads, onReplicas } = counts.calmSession
  expect('session reads on replicas in steady use', onReplicas / Math.max(1, reads), floors.replicaShare)
  for (const [tier, { hits, lookUps }] of Object.entries(counts.calmTiers)) {
    expect(`hits in steady use, ${tier}`, hits / Math.max(1, lookUps), floors.hitShare)
  }
  if (Object.keys(counts.calmTiers).length === 0) missed.push('no tier of the cache was in play')
  for (const part of floors.faulted) {
    if (!Object.keys(counts.faults).some((name) => name.includes(part))) missed.push(`no fault: ${part}`)
  }
  const all = Object.values(counts.readsByClone).reduce((sum, some) => sum + some, 0)
  const busy = Object.values(counts.readsByClone).filter((some) => some >= all * 0.1)
  expect('clones with at least a tenth of the reads', busy.length, 2)
  return missed
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000
}
