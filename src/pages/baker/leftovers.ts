/**
 * What is left for want of room is nobody's work: whoever asks for it loads it. Only where a copy of it lies somewhere
 * else, for which nobody asks, it is baked in the end: one at a time, when nothing else waits, with a rest behind each
 * that is as long as its bake.
 */

import type { Item } from './items.ts'

export class Leftovers {
  readonly #items = new Set<Item>()
  readonly #bakes: boolean
  #fromMs = 0
  /** Whether one of them is being baked. */
  #busy = false

  /** @param bakes whether what is left is baked in the end */
  constructor(bakes: boolean) {
    this.#bakes = bakes
  }

  add(item: Item): void {
    item.left = true
    if (this.#bakes) this.#items.add(item)
  }

  delete(item: Item): void {
    this.#items.delete(item)
  }

  /** Takes one to be baked; null: none, or not yet. */
  take(nowMs: number): Item | null {
    if (this.#busy || nowMs < this.#fromMs) return null
    for (const item of this.#items) {
      this.#items.delete(item)
      if (!item.left || item.state !== 'idle') continue
      this.#busy = true
      return item
    }
    return null
  }

  /** One that was left has been baked, well or not. */
  ended(item: Item): void {
    this.#busy = false
    this.#fromMs = performance.now() + item.bakeMs
  }

  /** When the next may be taken; Infinity where there is none, or one is being baked. */
  nextAtMs(): number {
    return this.#items.size > 0 && !this.#busy ? this.#fromMs : Infinity
  }
}
