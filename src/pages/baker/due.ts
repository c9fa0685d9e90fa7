/** What is to be looked at at some time: a binary heap, in which what has got another time since is passed over. */

import type { Item } from './items.ts'

interface Due {
  readonly item: Item
  readonly atMs: number
}

export class DueTimes {
  #heap: Due[] = []

  /** The time counts, and any that was set before does not. Infinity: none. */
  set(item: Item, atMs: number): void {
    item.dueAtMs = atMs
    if (atMs === Infinity) return
    this.#heap.push({ item, atMs })
    this.#rise(this.#heap.length - 1)
  }

  /** Takes one whose time has come; null: none. */
  take(nowMs: number): Item | null {
    for (let first = this.#first(); first !== null && first.atMs <= nowMs; first = this.#first()) {
      this.#shift()
      first.item.dueAtMs = Infinity
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
