/**
 * Waits until a condition holds, asking every few milliseconds; fails when the deadline is over, which a busy machine does
 * not reach. What takes long to ask, or to come, is asked less often: the machine has something better to do meanwhile.
 */
export async function waitFor<T>(
  what: string,
  condition: () => T | Promise<T>,
  withinMs = 15_000,
): Promise<NonNullable<T>> {
  const begun = performance.now()
  for (;;) {
    const askedMs = performance.now()
    const value = await condition()
    if (value !== undefined && value !== null && value !== false) return value as NonNullable<T>
    const nowMs = performance.now()
    if (nowMs - begun > withinMs) throw new Error(`waited ${withinMs} ms for ${what}`)
    const pauseMs = pauseAfter(nowMs - askedMs, nowMs - begun)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

const shortestPauseMs = 5
const longestPauseMs = 50

/** Asking takes at most a quarter of the time, and nobody waits longer than a twentieth more than they had to. */
export function pauseAfter(askingMs: number, waitedMs: number): number {
  return Math.min(longestPauseMs, Math.max(shortestPauseMs, 3 * askingMs, waitedMs / 20))
}
