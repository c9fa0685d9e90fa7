/** Who waits until a process knows the changes up to a position, or until a position is visible, in one epoch. */

import type { Lsn } from '../../engines/position.ts'

/** What rises: what is known, or what whoever reads the primary now can see. */
export type Reach = 'watermark' | 'visible'

interface Waiter {
  readonly what: Reach
  readonly lsn: Lsn
  readonly resolve: (reached: boolean) => void
  readonly timer: NodeJS.Timeout
}

export class PositionWaiters {
  readonly #at: (what: Reach) => Lsn
  #waiters: Waiter[] = []

  /** @param at how far it has come */
  constructor(at: (what: Reach) => Lsn) {
    this.#at = at
  }

  /** Resolves when the position is reached, with whether it is after so long, or with false when all are given up. */
  wait(what: Reach, lsn: Lsn, timeoutMs: number, reached: () => boolean): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((waiting) => waiting !== waiter)
        resolve(reached())
      }, timeoutMs)
      const waiter: Waiter = { what, lsn, resolve, timer }
      this.#waiters.push(waiter)
    })
  }

  /** It has come further. */
  settleReached(): void {
    if (this.#waiters.length === 0) return
    const waiting = this.#waiters
    this.#waiters = waiting.filter(({ what, lsn }) => lsn > this.#at(what))
    for (const waiter of waiting) if (waiter.lsn <= this.#at(waiter.what)) settle(waiter, true)
  }

  /** What they wait for does not come any more. */
  giveUp(): void {
    for (const waiter of this.#waiters.splice(0)) settle(waiter, false)
  }
}

function settle({ resolve, timer }: Waiter, reached: boolean): void {
  clearTimeout(timer)
  resolve(reached)
}
