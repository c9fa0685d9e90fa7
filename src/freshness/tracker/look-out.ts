/** Looks whether what was received is visible: one statement at a time, less often while nothing comes of it. */

import type pg from 'pg'

import type { Epoch } from '../../engines/position.ts'
import { readSnapshot } from '../../engines/postgres/changes/observation.ts'
import type { Visibility } from '../../engines/postgres/changes/visibility.ts'
import type { Timers } from './timers.ts'

export interface LookOutOptions {
  readonly observer: pg.Client
  readonly epoch: Epoch
  readonly visibility: Visibility
  readonly timers: Timers
  /** The visible position has moved. */
  readonly moved: () => void
  /** A look is over, whatever came of it. */
  readonly looked: () => void
  readonly failed: (error: unknown) => void
}

const leastGapMs = 5
const longestGapMs = 50

export class LookOut {
  readonly #options: LookOutOptions
  #looking = false
  #fruitless = 0

  constructor(options: LookOutOptions) {
    this.#options = options
  }

  /** Looks, if there is anything to look for and nobody does. Answers whether it does now. */
  wake(): boolean {
    const { visibility, timers, looked, failed } = this.#options
    if (this.#looking || !visibility.isWaiting) return false
    this.#looking = true
    const gap = Math.min(longestGapMs, leastGapMs * 2 ** Math.min(this.#fruitless, 10))
    const since = performance.now()
    this.#look().then((moved) => {
      this.#fruitless = moved ? 0 : this.#fruitless + 1
      looked()
      timers.after(Math.max(0, gap - (performance.now() - since)), () => {
        this.#looking = false
        this.wake()
      })
    }, failed)
    return true
  }

  async #look(): Promise<boolean> {
    const { observer, epoch, visibility, moved } = this.#options
    const mark = visibility.mark()
    const before = visibility.visible
    const seen = await readSnapshot(observer)
    if (seen.epoch !== epoch) throw new Error('the server has another epoch')
    visibility.observe(seen.snapshot, mark)
    visibility.compact()
    if (visibility.visible === before) return false
    moved()
    return true
  }
}
