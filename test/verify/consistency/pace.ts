/** How long everything lasts, and how much goes on. */

export interface Pace {
  readonly clones: number
  /** Of the steady use of a phase: reads while the cache fills, and reads while hits are counted. */
  readonly warmReads: number
  readonly steadyReads: number
  /** It ends after this all the same. */
  readonly steadyMs: number
  /** How long the storm lasts, at least. */
  readonly stormMs: number
  /** Between the end of one fault and the next. */
  readonly betweenMs: number
  /** How long something that is stopped or cut off stays so. */
  readonly stoppedMs: number
  /** Whether every fault has its turn. */
  readonly allFaults: boolean
  /** Between two writes from outside, on average. */
  readonly outsideMs: number
  /** A planted breach must be caught within this. */
  readonly breachMs: number
}

export const fullPace: Pace = {
  clones: 3,
  warmReads: 1_500,
  steadyReads: 6_000,
  steadyMs: 60_000,
  stormMs: 140_000,
  betweenMs: 3_500,
  stoppedMs: 1_500,
  allFaults: true,
  outsideMs: 350,
  breachMs: 120_000,
}

export const quickPace: Pace = {
  clones: 2,
  warmReads: 300,
  steadyReads: 600,
  steadyMs: 15_000,
  stormMs: 6_000,
  betweenMs: 200,
  stoppedMs: 500,
  allFaults: false,
  outsideMs: 200,
  breachMs: 15_000,
}
