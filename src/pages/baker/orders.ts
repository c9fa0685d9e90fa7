/**
 * Orders: bake all of it, what is over, or one address. Told to all workers of a build through a stream of the store; each
 * carries out the part of its own buckets and writes down in the order's record which of them are done. So an order ends
 * also where a worker dies in the middle: who takes its buckets over finds those that are not done.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { Packr } from 'msgpackr'

import { bucketCount } from '../catalogue.ts'

import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'
import type { Outcome } from './bakes.ts'
import type { Item } from './items.ts'

/** What is wanted. */
export interface Order {
  /** Names it, and its record. */
  readonly id: string
  /** `over`: what is over or missing; `all`: everything; `listed`: all that is baked ahead of one page; `one`: one address. */
  readonly kind: 'over' | 'all' | 'listed' | 'one'
  /** The page's path, or the address. */
  readonly path?: string
}

/** What became of one bucket. */
export interface BucketDone {
  readonly baked: number
  readonly failed: number
  /** Of what failed: the first errors. */
  readonly errors: readonly string[]
}

export interface OrderProgress {
  /** How much of it is done: 0 to 1. */
  readonly fraction: number
  readonly baked: number
  readonly failed: number
  readonly errors: readonly string[]
  readonly done: boolean
}

const recordTtlMs = 3_600_000
const keptOrders = { maxEntries: 200, ttlMs: recordTtlMs }
const waitMs = 5_000
const retryMs = 200
const writeEveryMs = 100
const packr = new Packr({ useRecords: false })

/** Gives an order to the workers of a build that live, or that come before it is done. */
export async function giveOrder(store: Store, build: string, order: Order): Promise<void> {
  await openOrder(store, build, order)
  await store.appendToStream(streamOf(build), packr.pack([order.id, order.kind, order.path ?? null]), keptOrders)
}

/** Makes an order's record. Answers whether this call did. */
export async function openOrder(store: Store, build: string, order: Order): Promise<boolean> {
  return await store.create(recordOf(build, order.id), {}, { ttlMs: recordTtlMs })
}

/** Null where the store knows nothing of it any more. */
export async function readProgress(store: Store, build: string, { id, kind }: Order): Promise<OrderProgress | null> {
  const done = await readDone(store, build, id)
  if (done === null) return null
  const all = [...done.values()]
  const sum = (count: (bucket: BucketDone) => number): number => all.reduce((total, one) => total + count(one), 0)
  return {
    fraction: Math.min(1, done.size / bucketsOf({ kind })),
    baked: sum(({ baked }) => baked),
    failed: sum(({ failed }) => failed),
    errors: all.flatMap(({ errors }) => errors),
    done: done.size >= bucketsOf({ kind }),
  }
}

async function readDone(store: Store, build: string, id: string): Promise<Map<number, BucketDone> | null> {
  const fields = await store.read(recordOf(build, id))
  if (fields === null) return null
  return new Map(
    Object.entries(fields).map(([bucket, bytes]) => {
      const [baked, failed, errors] = packr.unpack(bytes as Buffer) as [number, number, string[]]
      return [Number(bucket), { baked, failed, errors }]
    }),
  )
}

function bucketsOf({ kind }: Pick<Order, 'kind'>): number {
  return kind === 'one' ? 1 : bucketCount
}

function streamOf(build: string): string {
  return `pages:orders:${build}`
}

function recordOf(build: string, id: string): string {
  return `pages:order:${build}:${id}`
}

/** The part of an order that stands for one bucket. */
interface Part {
  readonly open: OpenOrder
  readonly bucket: number
  readonly items: Set<Item>
  baked: number
  failed: number
  readonly errors: string[]
}

interface OpenOrder {
  readonly order: Order
  /** Buckets whose part is under way, or done. */
  readonly taken: Set<number>
  readonly done: Set<number>
}

export interface OrdersOptions {
  readonly store: Store
  readonly build: string
  /** Learns what there is to bake now; answers what of it could not be learned. */
  readonly prepare: (order: Order) => Promise<string[]>
  /** What of an order falls to this worker in a bucket; null: the bucket is not its own. */
  readonly itemsFor: (order: Order, bucket: number) => readonly Item[] | null
  /** The bucket of an order for one address; null: there is no such page. */
  readonly bucketFor: (order: Order) => number | null
  /** The item, for people. */
  readonly nameOf: (item: Item) => string
  /** There is something to bake. */
  readonly wake: () => void
  readonly log: Logger
}

function emptyPart(open: OpenOrder, bucket: number): Part {
  return { open, bucket, items: new Set(), baked: 0, failed: 0, errors: [] }
}

/** Where every worker writes down that there is no such page. */
const noBucket = -1
const maxErrors = 3
const longestUnkept = 10

export class Orders {
  readonly #options: OrdersOptions
  readonly #open = new Map<string, OpenOrder>()
  readonly #parts = new Map<Item, Part[]>()
  #waiting: Item[] = []
  #done: Part[] = []
  readonly #end = new AbortController()
  #loop: Promise<void> | null = null
  #writing: Promise<void> | null = null

  constructor(options: OrdersOptions) {
    this.#options = options
  }

  /** Also takes what is being carried out already. */
  start(): void {
    this.#loop ??= this.#follow()
  }

  async stop(): Promise<void> {
    this.#end.abort()
    // A read that waits ends with the store's client, or after its time.
    await Promise.race([this.#loop, pause(retryMs)])
    await this.#writing
  }

  /** Carries an order out, as far as it is this worker's and not done. */
  async take(order: Order): Promise<void> {
    const { store, build } = this.#options
    const known = this.#open.get(order.id)
    const done = await readDone(store, build, order.id)
    if (done === null) return void this.#open.delete(order.id)
    const open: OpenOrder = known ?? { order, taken: new Set(), done: new Set() }
    this.#open.set(order.id, open)
    for (const bucket of done.keys()) {
      open.taken.add(bucket)
      open.done.add(bucket)
    }
    if (open.done.size >= bucketsOf(order)) return void this.#open.delete(order.id)
    this.#split(open, order.kind === 'one' ? [] : await this.#options.prepare(order))
    this.#options.wake()
  }

  /** Other buckets are this worker's than before: what was under way in those that were lost is somebody else's. */
  async retake(): Promise<void> {
    for (const open of this.#open.values()) {
      open.taken.clear()
      for (const bucket of open.done) open.taken.add(bucket)
    }
    this.#parts.clear()
    this.#waiting = []
    for (const { order } of [...this.#open.values()]) await this.take(order)
  }

  /** The next one that an order wants; null: none. */
  next(): Item | null {
    for (let item = this.#waiting.pop(); item !== undefined; item = this.#waiting.pop()) {
      if (this.#parts.has(item)) return item
    }
    return null
  }

  ended(item: Item, outcome: Outcome): void {
    const parts = this.#parts.get(item)
    // What could not be kept is tried again before long.
    if (parts === undefined || (outcome === 'unkept' && item.unkept < longestUnkept)) return
    this.#parts.delete(item)
    for (const part of parts) {
      part.items.delete(item)
      if (outcome === 'failed' || outcome === 'unkept') {
        part.failed += 1
        const error = item.error ?? 'what was loaded could not be kept'
        if (part.errors.length < maxErrors) part.errors.push(`${this.#options.nameOf(item)}: ${error}`)
      } else part.baked += 1
      if (part.items.size === 0) this.#finish(part)
    }
  }

  /** @param faults told with the first part of it that is this worker's */
  #split(open: OpenOrder, faults: string[]): void {
    const { order } = open
    if (order.kind === 'one') {
      const bucket = this.#options.bucketFor(order)
      if (bucket === null)
        this.#finish({ ...emptyPart(open, noBucket), failed: 1, errors: [`no page is ${order.path}`] })
      else this.#begin(open, bucket, faults)
      return
    }
    for (let bucket = 0; bucket < bucketCount; bucket += 1) this.#begin(open, bucket, faults)
    // Taken from the end: what stands first in its list comes first.
    this.#waiting.sort((one, other) => (other.place ?? Infinity) - (one.place ?? Infinity) || 0)
  }

  #begin(open: OpenOrder, bucket: number, faults: string[]): void {
    if (open.taken.has(bucket)) return
    const items = this.#options.itemsFor(open.order, bucket)
    if (items === null) return
    open.taken.add(bucket)
    const errors = faults.splice(0)
    const part: Part = { ...emptyPart(open, bucket), items: new Set(items), failed: errors.length, errors }
    if (items.length === 0) return this.#finish(part)
    for (const item of items) {
      if (open.order.kind !== 'over') item.anew = true
      const others = this.#parts.get(item)
      if (others === undefined) this.#parts.set(item, [part])
      else others.push(part)
      this.#waiting.push(item)
    }
  }

  #finish(part: Part): void {
    part.open.done.add(part.bucket)
    this.#done.push(part)
    this.#writing ??= this.#write().finally(() => {
      this.#writing = null
    })
  }

  /** Several buckets at once. */
  async #write(): Promise<void> {
    const { store, build, log } = this.#options
    while (this.#done.length > 0) {
      await pause(writeEveryMs)
      const parts = this.#done.splice(0)
      for (const [{ order }, own] of Map.groupBy(parts, ({ open }) => open)) {
        const set = Object.fromEntries(
          own.map(({ bucket, baked, failed, errors }) => [String(bucket), packr.pack([baked, failed, errors])]),
        )
        try {
          await store.update(recordOf(build, order.id), { set, ttlMs: recordTtlMs })
        } catch (error) {
          log.debug({ error }, 'the progress of an order was not written: trying again')
          if (!this.#end.signal.aborted) this.#done.push(...own)
        }
      }
    }
  }

  async #follow(): Promise<void> {
    const { store, build, log } = this.#options
    let after = 0
    while (!this.#end.signal.aborted) {
      try {
        const page = await store.readStream(streamOf(build), after, { limit: 100, waitMs })
        if (this.#end.signal.aborted) return
        for (const { value } of page.entries) {
          const [id, kind, path] = packr.unpack(value as Buffer) as [string, Order['kind'], string | null]
          await this.take({ id, kind, ...(path !== null && { path }) })
        }
        after = page.entries.at(-1)?.number ?? Math.min(after, page.last)
      } catch (error) {
        if (this.#end.signal.aborted) return
        log.debug({ error }, 'orders not read: trying again')
        await pause(retryMs)
      }
    }
  }
}
