/** How long everything lasts, and how many use it. */

import type { Level } from '../../../src/freshness/level.ts'

export interface Pace {
  /** How long each level is used, at least. */
  readonly levelMs: Readonly<Record<Level, number>>
  /** The part of it before the first fault. */
  readonly calmMs: number
  /** Between the end of one fault and the next. */
  readonly betweenMs: number
  /** How long something that is stopped stays so. */
  readonly stoppedMs: number
  /** How many faults each level gets, of the list that all go through in turn. */
  readonly faults: Readonly<Record<Level, number>>
  /** A planted breach must be caught within this, so many times. */
  readonly breachMs: number
  readonly breachRounds: number
  /** After a failover, with nothing planted. */
  readonly afterFailoverMs: number
}

const all = 12

export const fullPace: Pace = {
  levelMs: { eventual: 60_000, session: 60_000, monotonic: 60_000, strict: 60_000 },
  calmMs: 12_000,
  betweenMs: 1_000,
  stoppedMs: 2_000,
  faults: { eventual: all, session: all, monotonic: all, strict: all },
  breachMs: 60_000,
  breachRounds: 3,
  afterFailoverMs: 10_000,
}

/** Every fault once, most of them at `session`. */
export const quickPace: Pace = {
  levelMs: { eventual: 2_000, session: 6_000, monotonic: 2_000, strict: 2_000 },
  calmMs: 1_500,
  betweenMs: 0,
  stoppedMs: 500,
  faults: { eventual: 1, session: 9, monotonic: 1, strict: 1 },
  breachMs: 15_000,
  breachRounds: 1,
  afterFailoverMs: 1_500,
}

export const clones = 3
export const sessions = 12
export const writeShare = 0.1
const indices = Array.from({ length: 12 }, (_, index) => index)
export const mainKeys: readonly string[] = indices.map((index) => `main/k${index}`)
export const allKeys: readonly string[] = [...mainKeys, ...indices.map((index) => `own/k${index}`)]
