/** The entries that a worker looks after, by id, by bucket, and by the small numbers that the reverse index knows. */

import { bucketOf } from '../catalogue.ts'

import type { Source } from '../../cache/source.ts'
import type { Epoch, Lsn } from '../../engines/position.ts'

/** What a worker watches: an entry, or a list of pages. */
export interface Watched {
  /** Its number in the reverse index. */
  readonly number: number
  /** What it depends on, packed; null where it has not been loaded yet. */
  parts: Uint8Array | null
  /** As of when it is what the databases held. */
  dates: readonly Dated[]
  /** Wall clock, ms. */
  expiresAtMs: number
}

export interface Dated {
  readonly database: string
  readonly epoch: Epoch
  readonly asOf: Lsn
}

export class Item implements Watched {
  readonly id: string
  readonly source: Source<any>
  readonly key: unknown
  readonly number: number
  parts: Uint8Array | null = null
  dates: readonly Dated[] = []
  expiresAtMs: number = Infinity
  loadMs = 0
  /** Its place among what is baked ahead; null: somebody asked for it once. */
  place: number | null = null
  /** Whether it is of something that is there, as far as was seen. */
  found = true
  /** The reading of the list that named it last. */
  listing = 0
  visitedAtMs: number
  /** What is being done about it. */
  state: 'idle' | 'waiting' | 'baking' = 'idle'
  /** Touched while it was baked. */
  again = false
  /** To be loaded although it is not over. */
  anew = false
  /** Nobody looks after it here any more: its number may be another's. */
  gone = false
  /** It is over, and there was no room for it among what waits. */
  left = false
  /** The tier that processes share did not have it when all were looked for. */
  missing = false
  /** How often in a row the tier had lost it, and before when it is not looked for again. Monotonic, ms. */
  lost = 0
  lookAtMs: number = -Infinity
  /** When this worker put it there once more. Wall clock, ms. */
  sharedAtMs = 0
  notBeforeMs = 0
  bakedAtMs: number = -Infinity
  bakeMs = 0
  /** Between two bakes of what changes fast. */
  pauseMs = 0
  /** How often in a row its bake failed. */
  failures = 0
  /** Infinity: it has not failed since it went well. */
  failedAtMs: number = Infinity
  error: string | null = null
  /** How often in a row what was loaded could not be kept. */
  unkept = 0
  /** When it is to be looked at for another reason than a change; Infinity: never. */
  dueAtMs: number = Infinity
  /** Whether it is to be loaded then although it is not over. */
  dueAnew = false

  constructor(id: string, source: Source<any>, key: unknown, number: number, nowMs: number) {
    this.id = id
    this.source = source
    this.key = key
    this.number = number
    this.visitedAtMs = nowMs
  }
}

export class Items {
  readonly #byId = new Map<string, Item>()
  readonly #byNumber: (Watched | undefined)[] = []
  readonly #free: number[] = []
  readonly #byBucket = new Map<number, Set<Item>>()

  get size(): number {
    return this.#byId.size
  }

  get(id: string): Item | undefined {
    return this.#byId.get(id)
  }

  at(number: number): Watched | undefined {
    return this.#byNumber[number]
  }

  /** A number for something that is watched and is no entry. */
  number(make: (number: number) => Watched): Watched {
    const number = this.#free.pop() ?? this.#byNumber.length
    return (this.#byNumber[number] = make(number))
  }

  add(id: string, source: Source<any>, key: unknown, nowMs: number): Item {
    const item = this.number((number) => new Item(id, source, key, number, nowMs)) as Item
    this.#byId.set(id, item)
    const bucket = bucketOf(id)
    const held = this.#byBucket.get(bucket)
    if (held === undefined) this.#byBucket.set(bucket, new Set([item]))
    else held.add(item)
    return item
  }

  remove(item: Item): void {
    if (this.#byId.get(item.id) !== item) return
    this.#byId.delete(item.id)
    this.#byNumber[item.number] = undefined
    this.#free.push(item.number)
    this.#byBucket.get(bucketOf(item.id))?.delete(item)
  }

  inBucket(bucket: number): Iterable<Item> {
    return this.#byBucket.get(bucket) ?? []
  }

  /** From a number on, at most so many; the numbers themselves are no order. */
  slice(from: number, count: number): { readonly items: readonly Item[]; readonly next: number | null } {
    const end = Math.min(this.#byNumber.length, from + count)
    const items: Item[] = []
    for (let number = from; number < end; number += 1) {
      const found = this.#byNumber[number]
      if (found instanceof Item) items.push(found)
    }
    return { items, next: end < this.#byNumber.length ? end : null }
  }

  [Symbol.iterator](): Iterator<Item> {
    return this.#byId.values()
  }
}
