/**
 * Loads that began together, for keys of one object that was asked for several: what they use of another object at the
 * same time is looked up at once, by one look into the second tier and one batch. So an object that is made of others
 * needs no batch of its own. The idea is DataLoader's, with the group in place of a request: loads of different
 * readers never meet in one.
 *
 * Invariants:
 * - Each load's recording gets what this load used and nothing that another used.
 * - Whoever waits for a look-up of the group is seen to wait for it, so that loads that need each other's entries do not
 *   wait in a circle.
 */

import { isFourfoldError } from '../core/errors.ts'
import { gateFill, type Fill } from './fills.ts'

import type { Key } from './keys.ts'
import type { Found } from './lookups.ts'
import type { Source } from './source.ts'

/** Looks keys up as a part of a load. */
export type FindFor = (
  source: Source<Key>,
  keys: readonly Key[],
  ids: readonly string[],
  fill: Fill,
) => Promise<readonly Found[]>

interface Wanted {
  readonly keys: readonly Key[]
  readonly ids: readonly string[]
  readonly fill: Fill
  readonly resolve: (found: readonly Found[] | Promise<readonly Found[]>) => void
  readonly reject: (error: unknown) => void
}

export class LoadGroup {
  readonly #find: FindFor
  #waiting = new Map<Source<Key>, Wanted[]>()

  constructor(find: FindFor) {
    this.#find = find
  }

  /** @param fill the load that asks */
  find(source: Source<Key>, keys: readonly Key[], ids: readonly string[], fill: Fill): Promise<readonly Found[]> {
    return new Promise((resolve, reject) => {
      const wanted: Wanted = { keys, ids, fill, resolve, reject }
      const others = this.#waiting.get(source)
      if (others !== undefined) return void others.push(wanted)
      this.#waiting.set(source, [wanted])
      // When all loads that were woken up together have said what they need.
      if (this.#waiting.size === 1) void Promise.resolve().then(() => process.nextTick(() => this.#findAll()))
    })
  }

  #findAll(): void {
    const waiting = this.#waiting
    this.#waiting = new Map()
    for (const [source, wanted] of waiting) void this.#findTogether(source, wanted)
  }

  async #findTogether(source: Source<Key>, wanted: readonly Wanted[]): Promise<void> {
    const [first, ...others] = wanted as readonly [Wanted, ...Wanted[]]
    if (others.length === 0) return first.resolve(this.#find(source, first.keys, first.ids, first.fill))
    try {
      const gate = gateFill(wanted.map(({ fill }) => fill))
      const found = await this.#findThrough(gate, source, wanted)
      let at = 0
      for (const { keys, resolve } of wanted) resolve(found.slice(at, (at += keys.length)))
    } catch (error) {
      this.#tellApart(error, source, wanted)
    }
  }

  async #findThrough(gate: Fill, source: Source<Key>, wanted: readonly Wanted[]): Promise<readonly Found[]> {
    const keys = wanted.flatMap((one) => one.keys)
    const ids = wanted.flatMap((one) => one.ids)
    for (const { fill } of wanted) fill.waitsFor.add(gate)
    try {
      return await this.#find(source, keys, ids, gate)
    } finally {
      for (const { fill } of wanted) fill.waitsFor.delete(gate)
    }
  }

  /** A failing key fails those that asked for it, and not all: unless it says that the database cannot serve now. */
  #tellApart(error: unknown, source: Source<Key>, wanted: readonly Wanted[]): void {
    const all = isFourfoldError(error) && error.retryable
    for (const { keys, ids, fill, resolve, reject } of wanted) {
      if (all) reject(error)
      else resolve(this.#find(source, keys, ids, fill))
    }
  }
}
