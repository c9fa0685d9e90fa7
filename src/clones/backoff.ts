/**
 * How long to wait before the next attempt: doubling from a first delay to a longest one, with jitter so that many
 * processes that failed together do not come back together ("equal jitter": half fixed, half random). Success resets it.
 */

export interface BackoffOptions {
  /** The base of the first delay. Default: 100. */
  readonly firstMs?: number
  /** The longest base. Default: 15,000. */
  readonly maxMs?: number
  /** Between 0 and 1; handed in by tests. */
  readonly random?: () => number
}

export interface Backoff {
  /** The delay before the next attempt, in milliseconds: between half of the base and the base. */
  next(): number
  /** Begin again with the first delay. */
  reset(): void
}

export function createBackoff(options: BackoffOptions = {}): Backoff {
  const { firstMs = 100, maxMs = 15_000, random = Math.random } = options
  let attempts = 0
  return {
    next: () => {
      const base = Math.min(maxMs, firstMs * 2 ** Math.min(attempts, 30))
      attempts += 1
      return Math.round(base / 2 + (base / 2) * random())
    },
    reset: () => {
      attempts = 0
    },
  }
}
