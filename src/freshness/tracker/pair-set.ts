/**
 * The different hashes of one commit: pairs of 32-bit numbers, in one piece of memory that is used again for each commit,
 * so that a transaction of any size costs no more of it.
 */

export class PairSet {
  readonly #limit: number
  /** Open addressing at a quarter full; a place counts only if its stamp is of this round. */
  readonly #places: Uint32Array
  readonly #stamps: Uint32Array
  readonly #mask: number
  readonly #pairs: Uint32Array
  #round = 1
  #size = 0

  constructor(limit: number) {
    this.#limit = limit
    const places = 2 ** Math.ceil(Math.log2(limit * 4))
    this.#mask = places - 1
    this.#places = new Uint32Array(places)
    this.#stamps = new Uint32Array(places)
    this.#pairs = new Uint32Array(limit * 2)
  }

  get size(): number {
    return this.#size
  }

  /** Answers false, and adds nothing, where the set is full. */
  add(one: number, two: number): boolean {
    let place = (one ^ Math.imul(two, 0x9e3779b1)) & this.#mask
    while (this.#stamps[place] === this.#round) {
      const at = this.#places[place] as number
      if (this.#pairs[at] === one && this.#pairs[at + 1] === two) return true
      place = (place + 1) & this.#mask
    }
    if (this.#size === this.#limit) return false
    const at = this.#size * 2
    this.#stamps[place] = this.#round
    this.#places[place] = at
    this.#pairs[at] = one
    this.#pairs[at + 1] = two
    this.#size += 1
    return true
  }

  /** All pairs, one behind the other. */
  copy(): Uint32Array {
    return this.#pairs.slice(0, this.#size * 2)
  }

  clear(): void {
    this.#size = 0
    this.#round += 1
    if (this.#round < 0xffff_ffff) return
    this.#stamps.fill(0)
    this.#round = 1
  }
}
