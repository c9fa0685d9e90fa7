/** How long everything lasts, and how many use it. */

import type { Level } from '../../../src/freshness/level.ts'

export interface Pace {
  readonly clones: number
  /** How long each level is used, at least. */
  readonly levelMs: Readonly<Record<Level, number>>
  /** The part of it before the first fault. */
  readonly calmMs: number
  /** Between the end of one fault and the next. */
  readonly betweenMs: number
  /** After the last fault, at least. */
  readonly lastMs: number
  /** How long something that is stopped stays so. */
  readonly stoppedMs: number
  /** Whether every level gets every fault. */
  readonly allFaults: boolean
  /** A planted breach must be caught within this, so many times. */
  readonly breachMs: number
  readonly breachRounds: number
  /** After a failover, with nothing planted. */
  readonly afterFailoverMs: number
}

export const fullPace: Pace = {
  clones: 3,
  levelMs: { eventual: 60_000, session: 60_000, monotonic: 60_000, strict: 60_000 },
  calmMs: 12_000,
  betweenMs: 1_000,
  lastMs: 3_000,
  stoppedMs: 2_000,
  allFaults: true,
  breachMs: 60_000,
  breachRounds: 3,
  afterFailoverMs: 10_000,
}

/** Most faults at `session`, and one at each other level. */
export const quickPace: Pace = {
  clones: 2,
  levelMs: { eventual: 2_000, session: 3_000, monotonic: 2_000, strict: 2_000 },
  calmMs: 1_500,
  betweenMs: 0,
  lastMs: 700,
  stoppedMs: 500,
  allFaults: false,
  breachMs: 15_000,
  breachRounds: 1,
  afterFailoverMs: 1_500,
}

export const sessions = 8
export const writeShare = 0.1
const indices = Array.from({ length: 12 }, (_, index) => index)
export const mainKeys: readonly string[] = indices.map((index) => `main/k${index}`)
export const allKeys: readonly string[] = [...mainKeys, ...indices.map((index) => `own/k${index}`)]
