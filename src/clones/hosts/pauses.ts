/**
 * Notices that this process stood still (SIGSTOP, a frozen machine, an event loop that hung): its own timer did not come
 * for longer than it should. Whoever is about to act on something old asks first, since after a pause the sockets may
 * be read before any timer runs.
 */

export interface PauseWatch {
  /** Looks at the clock now; after a pause the listener hears of it before this returns. */
  check(): void
  /** Whether a pause ended so recently that what is read now may have waited through it. */
  recently(): boolean
  stop(): void
}

export interface PauseWatchOptions {
  /** Shorter gaps are no pauses. Less than the time after which a balancer gives a silent clone up. */
  readonly leastMs: number
  readonly onPause: (gapMs: number) => void
  readonly now?: () => number
}

const tickMs = 200
/** Within this time after a pause everything is read that lay in the sockets. */
const aftermathMs = 500

export function watchPauses({ leastMs, onPause, now = () => performance.now() }: PauseWatchOptions): PauseWatch {
  let seenAt = now()
  let endedAt = Number.NEGATIVE_INFINITY
  const check = (): void => {
    const at = now()
    const gapMs = at - seenAt
    seenAt = at
    if (gapMs < leastMs) return
    endedAt = at
    onPause(gapMs)
  }
  const timer = setInterval(check, tickMs)
  timer.unref()
  return {
    check,
    recently: () => now() - endedAt < aftermathMs,
    stop: () => clearInterval(timer),
  }
}
