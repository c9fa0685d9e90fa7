/** Which buckets are this worker's, and what the catalogue says of them: read when they become its own, and round and round. */

import { bucketCount, bucketOf, readCatalogue, renewCatalogue } from '../catalogue.ts'

import type { Store } from '../../store/store.ts'
import type { Holdings } from './holdings.ts'
import type { Watch } from './watch.ts'

export interface BucketsOptions {
  readonly store: Store
  readonly build: string
  readonly watch: Watch
  readonly holdings: Holdings
}

const atOnce = 16
const retryMs = 1_000

export class Buckets {
  readonly #options: BucketsOptions
  #owned: Uint8Array = new Uint8Array(bucketCount)
  #at = 0
  /** So many are read without waiting in between. */
  #hurried = 0
  #reading: Promise<void> | null = null
  #stopped = false

  constructor(options: BucketsOptions) {
    this.#options = options
  }

  has(bucket: number): boolean {
    return this.#owned[bucket] === 1
  }

  owns(id: string): boolean {
    return this.has(bucketOf(id))
  }

  /** Other buckets are this worker's than before; resolves when it knows what is in them. */
  async take(owned: Uint8Array): Promise<void> {
    const { watch, holdings } = this.#options
    const before = this.#owned
    // What is told from now on is heard; what was told before stands in the catalogue.
    this.#owned = owned
    const gained: number[] = []
    for (let bucket = 0; bucket < bucketCount; bucket += 1) {
      if (owned[bucket] === before[bucket]) continue
      if (owned[bucket] === 1) gained.push(bucket)
      else for (const item of [...watch.items.inBucket(bucket)]) holdings.forget(item)
    }
    for (let at = 0; at < gained.length && !this.#stopped; at += atOnce) {
      await Promise.all(gained.slice(at, at + atOnce).map((bucket) => this.#read(bucket)))
    }
  }

  /** Announcements were missed: what they told stands in the catalogue. */
  hurry(): void {
    this.#hurried = bucketCount
  }

  /** Reads the next one again, unless one is being read. */
  readNext(): void {
    this.#reading ??= this.#readSome().finally(() => {
      this.#reading = null
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#reading
  }

  async #readSome(): Promise<void> {
    const { store, build } = this.#options
    do {
      const bucket = this.#next()
      if (bucket === null || this.#stopped) return
      await this.#read(bucket)
      await renewCatalogue(store, build, bucket).catch(() => undefined)
    } while (this.#hurried > 0)
  }

  #next(): number | null {
    for (let count = 0; count < bucketCount; count += 1) {
      this.#at = (this.#at + 1) % bucketCount
      this.#hurried = Math.max(0, this.#hurried - 1)
      if (this.has(this.#at)) return this.#at
    }
    return null
  }

  async #read(bucket: number): Promise<void> {
    const { store, build, holdings } = this.#options
    const entries = await readCatalogue(store, build, bucket).catch(() => null)
    // The store is away for a moment; who asks for the pages is none the worse for it.
    if (entries === null) return void setTimeout(() => !this.#stopped && void this.#read(bucket), retryMs).unref()
    if (this.has(bucket)) for (const entry of entries) holdings.take(entry)
  }
}
