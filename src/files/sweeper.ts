/**
 * Looks for leftovers now and then, beside what somebody is doing anyway: without uploads and removals there are none, so
 * an app that has no files runs no timer and asks nothing.
 */

import { withDeadline } from '../core/deadline.ts'
import type { Logger } from '../core/log.ts'

export interface SweeperOptions {
  readonly sweep: () => Promise<number>
  readonly log: Logger
  /** The least time between two sweeps of this process. Default: a quarter of an hour. */
  readonly everyMs?: number
  readonly nowMs?: () => number
}

export interface Sweeper {
  /** Something was put or removed. */
  readonly changed: () => void
  /** Waits a moment for the sweep that is under way. */
  close(): Promise<void>
}

const closeMs = 1_000

export function createSweeper({
  sweep,
  log,
  everyMs = 15 * 60_000,
  nowMs = () => performance.now(),
}: SweeperOptions): Sweeper {
  let last = -Infinity
  let running: Promise<void> | null = null
  let closed = false

  async function run(): Promise<void> {
    try {
      const gone = await sweep()
      if (gone > 0) log.info({ gone }, 'took away what uploads and removals had left behind')
    } catch (error) {
      log.warn({ error }, 'could not look for what uploads had left behind; the next sweep will')
    }
    running = null
  }

  return {
    changed: () => {
      if (closed || running !== null || nowMs() - last < everyMs) return
      last = nowMs()
      running = run()
    },
    close: async () => {
      closed = true
      // What hangs must not hold up a clone that stops; the next sweep takes up where this one ends.
      if (running !== null) await withDeadline(running, closeMs, 'a sweep to end').catch(() => undefined)
    },
  }
}
