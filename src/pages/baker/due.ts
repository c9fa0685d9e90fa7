/** What is to be looked at at some time: a binary heap, in which what has got another time since is passed over. */

import type { Item } from './items.ts'

interface Due {
  readonly item: Item
  readonly atMs: number
}

/** Fewer that do not count any more are not worth the work. */
const leastSwept = 100

export class DueTimes {
  #heap: Due[] = []
  /** How many items have a time. */
  #count = 0

  /** How many times it keeps, those that do not count any more among them. */
  get size(): number {
    return this.#heap.length
  }

  /** The time counts, and any that was set before does not. Infinity: none. */
  set(item: Item, atMs: number): void {
    if (item.dueAtMs === atMs) return
    if (item.dueAtMs !== Infinity) this.#count -= 1
    item.dueAtMs = atMs
    if (atMs === Infinity) return this.#sweep()
    this.#count += 1
    this.#heap.push({ item, atMs })
    this.#rise(this.#heap.length - 1)
    this.#sweep()
  }

  /** Takes one whose time has come; null: none. */
  take(nowMs: number): Item | null {
    for (let first = this.#first(); first !== null && first.atMs <= nowMs; first = this.#first()) {
      this.#shift()
      first.item.dueAtMs = Infinity
      this.#count -= 1
      return first.item
    }
    return null
  }

  nextAtMs(): number {
    return this.#first()?.atMs ?? Infinity
  }

  #first(): Due | null {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (first.item.dueAtMs === first.atMs) return first
      this.#shift()
    }
    return null
  }

  /** What is put off again and again would stay until its former times come. */
  #sweep(): void {
    if (this.#heap.length <= 2 * this.#count + leastSwept) return
    const seen = new Set<Item>()
    const counts = ({ item, atMs }: Due): boolean => item.dueAtMs === atMs && !seen.has(item) && !!seen.add(item)
    // In order is a heap, too.
    this.#heap = this.#heap.filter(counts).sort((one, other) => one.atMs - other.atMs)
  }

  #shift(): void {
    const last = this.#heap.pop()!
    if (this.#heap.length === 0) return
    this.#heap[0] = last
    this.#sink(0)
  }

  #rise(from: number): void {
    for (let at = from; at > 0;) {
      const above = (at - 1) >> 1
      if (this.#heap[above]!.atMs <= this.#heap[at]!.atMs) return
      this.#swap(at, above)
      at = above
    }
  }

  #sink(from: number): void {
    for (let at = from; ;) {
      let least = at
      for (const below of [2 * at + 1, 2 * at + 2]) {
        if (below < this.#heap.length && this.#heap[below]!.atMs < this.#heap[least]!.atMs) least = below
      }
      if (least === at) return
      this.#swap(at, least)
      at = least
    }
  }

  #swap(one: number, other: number): void {
    const held = this.#heap[one]!
    this.#heap[one] = this.#heap[other]!
    this.#heap[other] = held
  }
}
