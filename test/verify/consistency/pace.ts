/** How long everything lasts, and how much goes on. */

export interface Pace {
  readonly clones: number
  /** Before the first fault of a phase: the cache fills, hits are counted. */
  readonly calmMs: number
  /** How long a phase lasts, at least. */
  readonly phaseMs: number
  /** Between the end of one fault and the next. */
  readonly betweenMs: number
  /** How long something that is stopped or cut off stays so. */
  readonly stoppedMs: number
  /** Whether every phase gets every fault. */
  readonly allFaults: boolean
  /** Between two writes from outside, on average. */
  readonly outsideMs: number
  /** A planted breach must be caught within this. */
  readonly breachMs: number
}

export const fullPace: Pace = {
  clones: 3,
  calmMs: 25_000,
  phaseMs: 200_000,
  betweenMs: 3_500,
  stoppedMs: 1_500,
  allFaults: true,
  outsideMs: 350,
  breachMs: 60_000,
}

export const quickPace: Pace = {
  clones: 2,
  calmMs: 6_000,
  phaseMs: 9_000,
  betweenMs: 200,
  stoppedMs: 500,
  allFaults: false,
  outsideMs: 200,
  breachMs: 15_000,
}
