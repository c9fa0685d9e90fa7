/**
 * Looks at entries of which no change was told. All of them, where something else than a change may have ended any; and a few
 * at a time, for ever: what the filter takes for changed because it is full, and what nobody has asked for in a day.
 */

import type { Bakes } from './bakes.ts'
import type { Holdings } from './holdings.ts'
import type { Item } from './items.ts'
import type { Watch } from './watch.ts'

export interface LooksOptions {
  readonly watch: Watch
  readonly bakes: Bakes
  readonly holdings: Holdings
}

/** In one step: some 10 ms. All of 100,000 within two minutes, at {@link lookEveryMs}. */
const sliceSize = 250
export const lookEveryMs = 250

export class Looks {
  readonly #options: LooksOptions
  #at: number | null = 0
  #again = false
  #looking: Promise<void> | null = null
  #stopped = false

  constructor(options: LooksOptions) {
    this.#options = options
  }

  /** At all, in slices, and once more where that is asked for meanwhile. */
  all(): void {
    this.#again = true
    this.#looking ??= this.#lookAtAll().finally(() => {
      this.#looking = null
    })
  }

  /** At the next few. */
  some(): void {
    const { watch, bakes, holdings } = this.#options
    const { items, next } = watch.items.slice(this.#at ?? 0, sliceSize)
    this.#at = next
    for (const item of items) if (isQuiet(item) && isWanted(item, watch.staleness(item))) bakes.touch(item)
    holdings.dropUnused(items)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#looking
  }

  async #lookAtAll(): Promise<void> {
    const { watch, bakes } = this.#options
    while (this.#again && !this.#stopped) {
      this.#again = false
      for (let from: number | null = 0; from !== null && !this.#stopped;) {
        // Not in the step in which the change is taken.
        await new Promise((resolve) => setImmediate(resolve))
        const { items, next } = watch.items.slice(from, sliceSize)
        for (const item of items) if (item.parts !== null && watch.staleness(item) !== null) bakes.touch(item)
        from = next
      }
    }
  }
}

function isQuiet({ state, left, failures, dueAtMs, parts }: Item): boolean {
  return state === 'idle' && !left && failures === 0 && dueAtMs === Infinity && parts !== null
}

/** What ends by the clock, and nobody lists, is left to whoever asks for it. */
function isWanted({ place }: Item, staleness: string | null): boolean {
  return staleness !== null && (staleness !== 'expired' || place !== null)
}
