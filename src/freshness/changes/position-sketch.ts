/**
 * When rows and names last changed, by their hashes: a count-min sketch of positions with two hashes each (Cormode and
 * Muthukrishnan, 2005, with a maximum in place of a sum). Positions only rise; a collision makes some later than they
 * are, never earlier.
 */

import { slotsPerPiece, type SlotPieces } from './snapshot.ts'

import type { Lsn } from '../../engines/position.ts'

export const defaultSlots: number = 2 ** 20

export class PositionSketch {
  readonly #slots: Float64Array
  readonly #mask: number

  /** @param slots a power of two, of 8 bytes each */
  constructor(slots: number) {
    if (slots < 2 || (slots & (slots - 1)) !== 0) throw new RangeError(`expected a power of two, got ${slots} slots`)
    this.#slots = new Float64Array(slots)
    this.#mask = slots - 1
  }

  /** How many slots there are. */
  get size(): number {
    return this.#slots.length
  }

  /** Whatever has these hashes has changed at a position. */
  raise(hashes: Uint32Array, to: Lsn): void {
    const slots = this.#slots
    const mask = this.#mask
    for (let at = 0; at < hashes.length; at += 1) {
      const slot = hashes[at]! & mask
      if (slots[slot]! < to) slots[slot] = to
    }
  }

  /** Whether any pair of hashes stands above a position. */
  anyAbove(hashes: readonly number[], asOf: Lsn): boolean {
    const slots = this.#slots
    const mask = this.#mask
    for (let at = 0; at + 1 < hashes.length; at += 2) {
      if (slots[hashes[at]! & mask]! > asOf && slots[hashes[at + 1]! & mask]! > asOf) return true
    }
    return false
  }

  /** The slots themselves, in pieces, to be read and not written. */
  pieces(): SlotPieces {
    const count = Math.ceil(this.#slots.length / slotsPerPiece)
    return Array.from({ length: count }, (_, at) => {
      return this.#slots.subarray(at * slotsPerPiece, (at + 1) * slotsPerPiece)
    })
  }

  /** Takes over a piece of another sketch of the same size, by its place. */
  raisePiece(place: number, positions: Float64Array): void {
    const slots = this.#slots
    const first = place * slotsPerPiece
    for (let at = 0; at < positions.length; at += 1) {
      if (slots[first + at]! < positions[at]!) slots[first + at] = positions[at]!
    }
  }

  /** How many slots have ever been raised, 0 to 1. */
  fill(): number {
    let used = 0
    for (const position of this.#slots) if (position > 0) used += 1
    return used / this.#slots.length
  }
}
