/**
 * How many requests may be sent a second time: a share of the requests of the last seconds, and at least a few. Without
 * a budget, retries multiply the load just when clones fail because of it.
 */

export interface RetryBudget {
  /** Counts a request that came in. */
  note(): void
  /** Whether one more retry fits; if so it is counted. */
  take(): boolean
}

export interface RetryBudgetOptions {
  /** Default: 0.2. */
  readonly share?: number
  /** Default: 3. */
  readonly least?: number
  /** The time that is looked back on, half at a time. Default: 10,000. */
  readonly windowMs?: number
  readonly now?: () => number
}

interface Span {
  requests: number
  retries: number
}

export function createRetryBudget(options: RetryBudgetOptions = {}): RetryBudget {
  const { share = 0.2, least = 3, windowMs = 10_000, now = () => performance.now() } = options
  let current: Span = { requests: 0, retries: 0 }
  let previous: Span = { requests: 0, retries: 0 }
  let startedAt = now()

  const turn = (): void => {
    const passed = now() - startedAt
    if (passed < windowMs / 2) return
    previous = passed < windowMs ? current : { requests: 0, retries: 0 }
    current = { requests: 0, retries: 0 }
    startedAt = now()
  }

  return {
    note: () => {
      turn()
      current.requests += 1
    },
    take: () => {
      turn()
      const allowed = Math.max(least, Math.floor(share * (current.requests + previous.requests)))
      if (current.retries + previous.retries >= allowed) return false
      current.retries += 1
      return true
    },
  }
}
