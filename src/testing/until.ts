/** Waiting in tests: for a condition, with a deadline, never for a fixed time. */

import { setTimeout as pause } from 'node:timers/promises'

/**
 * Tries until the attempt neither throws nor answers null or false, and answers what it answered.
 *
 * @param what the condition in words, for the error
 * @param deadlineMs default: 10,000
 */
export async function until<T>(
  what: string,
  attempt: () => Promise<T> | T,
  deadlineMs = 10_000,
): Promise<Exclude<T, null | false>> {
  const deadline = performance.now() + deadlineMs
  let last: unknown
  do {
    try {
      const result = await attempt()
      if (result !== null && result !== false) return result as Exclude<T, null | false>
    } catch (error) {
      last = error
    }
    await pause(5)
  } while (performance.now() < deadline)
  throw new Error(`waited ${deadlineMs} ms in vain until ${what}`, { cause: last })
}
