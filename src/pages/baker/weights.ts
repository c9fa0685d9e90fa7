/** How much each entry is asked for of late: counts that lose half of their weight every minute. */

interface Weight {
  value: number
  atMs: number
}

const halfLifeMs = 60_000
const maxKnown = 20_000

export class Weights {
  readonly #known = new Map<string, Weight>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  add(id: string, count: number): void {
    const value = this.of(id) + count
    // Behind all others: the first is the one that was asked for least lately.
    this.#known.delete(id)
    if (this.#known.size >= maxKnown) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(id, { value, atMs: this.#nowMs() })
  }

  of(id: string): number {
    const known = this.#known.get(id)
    return known === undefined ? 0 : known.value * 2 ** ((known.atMs - this.#nowMs()) / halfLifeMs)
  }
}
