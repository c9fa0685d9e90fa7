/** What waits to be baked: each once, those that are read most first, no more than there is room for. */

import type { Item } from './items.ts'

export interface QueueOptions {
  /** At most so many. */
  readonly backlog: number
  /** How much an entry is asked for of late. */
  readonly weightOf: (id: string) => number
}

export class BakeQueue {
  readonly #options: QueueOptions
  readonly #waiting = new Map<Item, number>()
  /** No more than the least weight of all that wait. */
  #least = Infinity

  constructor(options: QueueOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Answers who has no room: the one that is asked for least; null where there is room for all. */
  add(item: Item): Item | null {
    if (this.#waiting.has(item)) return null
    const weight = this.#options.weightOf(item.id)
    const out = this.#waiting.size < this.#options.backlog ? null : this.#makeRoom(item, weight)
    if (out === item) return item
    this.#waiting.set(item, weight)
    this.#least = Math.min(this.#least, weight)
    return out
  }

  delete(item: Item): boolean {
    return this.#waiting.delete(item)
  }

  /** Takes the one that comes first of those whose time has come; null: none. */
  take(nowMs: number): Item | null {
    let first: Item | null = null
    let greatest = -Infinity
    for (const [item, weight] of this.#waiting) {
      // Of those that are asked for as much, the one that waits longest.
      if (weight <= greatest || item.notBeforeMs > nowMs) continue
      first = item
      greatest = weight
    }
    if (first !== null) this.#waiting.delete(first)
    return first
  }

  /** When the next one's time comes; Infinity where none waits. */
  nextAtMs(): number {
    let nextMs = Infinity
    for (const { notBeforeMs } of this.#waiting.keys()) nextMs = Math.min(nextMs, notBeforeMs)
    return nextMs
  }

  #makeRoom(item: Item, weight: number): Item {
    // After a bulk change most are asked for as little as each other: one look tells.
    if (weight <= this.#least) return item
    let last: Item = item
    let least = weight
    for (const [waiting, known] of this.#waiting) {
      if (known >= least) continue
      last = waiting
      least = known
    }
    this.#waiting.delete(last)
    this.#least = least
    return last
  }
}
