/**
 * Bakes ahead of demand, in a worker: knows the entries of its buckets and what each depends on, hears what changes, and
 * loads again what is over. Why each entry is baked once for each change, and none is forgotten: docs/decisions/035-baking.md.
 *
 * Nobody needs a worker for a right answer. Whatever it does late or not at all is done by whoever asks for the page.
 */

import { canonicalKey } from '../../cache/keys.ts'
import { announcementOf, followAnnouncements, type Announcement } from '../announcements.ts'
import {
  bucketCount,
  bucketOf,
  dropFromCatalogue,
  readCatalogue,
  renewCatalogue,
  writeCatalogue,
  type CatalogueEntry,
} from '../catalogue.ts'
import { Bakes, type Baked, type Outcome } from './bakes.ts'
import { KnownScope } from './known-scope.ts'
import { Item } from './items.ts'
import { List } from './list.ts'
import { Members } from './members.ts'
import { openOrder, Orders, type Order } from './orders.ts'
import { lastTicks, startSchedules } from './schedule.ts'
import { Watch } from './watch.ts'
import { Weights } from './weights.ts'

import type { CacheCore } from '../../cache/core.ts'
import type { Entry } from '../../cache/entry.ts'
import type { Source } from '../../cache/source.ts'
import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'
import type { Clusters } from '../../cache/checks.ts'
import type { PageSource } from '../page-source.ts'
import type { Pages } from '../pages.ts'
import type { PageKey } from '../routes.ts'
import type { Watched } from './items.ts'
import type { BakerStatus } from './status.ts'

export interface BakerOptions {
  readonly core: CacheCore
  readonly clusters: Clusters
  readonly pages: Pages
  /** The cached objects that are baked too. */
  readonly objects: readonly Source<any>[]
  readonly store: Store
  readonly build: string
  /** Names this worker. */
  readonly self: string
  readonly atOnce: number
  readonly backlog: number
  readonly log: Logger
}

/** Of one page or object: entries that nobody lists and somebody once asked for. */
const maxOnDemand = 10_000
const longestUnvisitedMs = 24 * 3_600_000
/** How long a bake waits until a change can be seen that has been told already. */
const visibleWaitMs = 100
/** Entries that are looked at, whether or not anything was told of them: all of 100,000 within two minutes. */
const sweepEveryMs = 1_000
const sweepSize = 1_000
const bucketsAtOnce = 16
const sliceSize = 1_000
/** What ends by the clock is baked before, by a few of its load's lengths. */
const earlyLoads = 3
const earlyMs = 200
const coarseMs = 3_000
const maxToldFailures = 10

export class Baker {
  readonly #options: BakerOptions
  readonly #scope: KnownScope
  readonly #watch: Watch
  readonly #bakes: Bakes
  readonly #orders: Orders
  readonly #members: Members
  readonly #lists: readonly List[]
  readonly #weights = new Weights()
  readonly #sources = new Map<string, Source<any>>()
  readonly #onDemand = new Map<Source<any>, Set<Item>>()
  #owned: Uint8Array = new Uint8Array(bucketCount)
  #workers = 1
  #missing: Item[] = []
  #changing: Promise<void> = Promise.resolve()
  #looking: Promise<void> | null = null
  #lookAgain = false
  #sweepAt: number | null = 0
  #sweepBucket = 0
  /** Buckets that are read again without waiting in between. */
  #toReread = 0
  #sweeping: Promise<void> | null = null
  #timer: NodeJS.Timeout | null = null
  #enders: (() => Promise<void> | void)[] = []
  #stopped = false

  constructor(options: BakerOptions) {
    const { core, clusters, pages, objects, store, build, self, log } = options
    this.#options = options
    this.#scope = new KnownScope(clusters)
    for (const source of [...pages.sources, ...objects]) this.#sources.set(source.name, source)
    this.#watch = new Watch({
      clusters,
      checks: core.checks,
      touched: (watched) => this.#touch(watched),
      forgotten: () => this.#lookAtAll(),
    })
    this.#bakes = new Bakes({
      ...options,
      bake: (item, anew) => this.#bake(item, anew),
      next: () => this.#orders.next() ?? this.#nextMissing(),
      ended: (item, outcome) => this.#ended(item, outcome),
      weightOf: (id) => this.#weights.of(id),
    })
    this.#orders = new Orders({
      ...{ store, build, log },
      itemsFor: (order, bucket) => this.#itemsFor(order, bucket),
      bucketFor: (order) => this.#bucketFor(order),
      nameOf: (item) => this.#nameOf(item),
      wake: () => this.#bakes.wake(),
    })
    this.#members = new Members({
      ...{ store, self, build, log },
      status: () => this.status(),
      changed: (owned, members) => {
        this.#changing = this.#changing
          .then(() => this.#own(owned, members))
          .catch((error: unknown) => log.warn({ error }, 'buckets were not taken over'))
      },
    })
    this.#lists = pages.sources
      .filter(({ definition }) => definition.params !== undefined)
      .map((source) => this.#listOf(source))
  }

  /** May be called twice. */
  start(): void {
    if (this.#timer !== null || this.#stopped) return
    const { store, build, pages, log } = this.#options
    this.#timer = setInterval(() => this.#sweep(), sweepEveryMs)
    const hear = (told: readonly Announcement[]): void => told.forEach((one) => this.#hear(one))
    // What was missed is found by reading the catalogue again.
    const missed = (): void => void (this.#toReread = bucketCount)
    this.#enders = [
      followAnnouncements({ store, build, log, hear, missed }),
      startSchedules({ sources: pages.sources, tick: (source, atMs) => void this.#tick(source, atMs) }),
    ]
    this.#members.start()
  }

  /** What was begun ends first. May be called twice. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#watch.stop()
    await this.#members.stop()
    for (const end of this.#enders) await end()
    await Promise.all([this.#bakes.stop(), this.#orders.stop(), ...this.#lists.map((list) => list.stop())])
    await Promise.all([this.#changing, this.#looking, this.#sweeping])
  }

  status(): BakerStatus {
    const { counts, failing, queue } = this.#bakes
    const told = [...failing].slice(0, maxToldFailures)
    return {
      entries: this.#watch.items.size,
      waiting: queue.size + this.#missing.length,
      baked: counts.baked,
      failed: counts.failed,
      left: counts.left,
      failing: failing.size,
      failures: told.map((item) => ({ what: this.#nameOf(item), error: item.error ?? '', failures: item.failures })),
    }
  }

  #listOf(source: PageSource): List {
    const { core, clusters, log } = this.#options
    const { makeTools } = core
    const listed = (list: List, keys: readonly PageKey[]): Promise<void> => this.#takeList(list, keys)
    const options = { source, watch: this.#watch, clusters, makeTools, scope: this.#scope, listed, log }
    return this.#watch.items.number((number) => new List(options, number)) as List
  }

  #touch(watched: Watched): void {
    if (watched instanceof Item) this.#bakes.touch(watched)
    else (watched as List).read()
  }

  async #bake(item: Item, anew: boolean): Promise<Baked> {
    const { core, clusters } = this.#options
    const { source, key, id } = item
    for (const { changes } of clusters.values()) {
      // What was changed must be visible first: until then a load cannot be kept.
      const epoch = changes?.epoch ?? null
      if (epoch !== null) await changes!.waitFor({ epoch, lsn: changes!.watermark }, visibleWaitMs, 'visible')
    }
    const { entry, from } = anew
      ? await core.lookups.anew(source, key, id, this.#scope)
      : await core.lookups.find(source, key, id, this.#scope, null)
    if (entry === null) return { outcome: 'unkept', coarse: false, endsAtMs: Infinity }
    const nowMs = Date.now()
    const coarse = source.ttlMs === null && entry.expiresAtMs - nowMs < coarseMs
    await this.#adoptBaked(item, entry, from === 'load')
    const endsInMs = entry.expiresAtMs - nowMs - Math.max(earlyMs, earlyLoads * entry.loadMs)
    // What nobody lists is left to whoever asks for it again.
    const endsAtMs = item.place === null ? Infinity : performance.now() + Math.max(endsInMs, earlyMs)
    return { outcome: from === 'load' ? 'baked' : 'found', coarse, endsAtMs }
  }

  async #adoptBaked(item: Item, entry: Entry, loaded: boolean): Promise<void> {
    const { store, build, log } = this.#options
    const told = announcementOf({ source: item.source, key: item.key, id: item.id, entry })
    const isNew = item.parts === null
    item.loadMs = entry.loadMs
    item.found = told.found
    this.#watch.adopt(item, entry)
    if (!told.found) return void (item.place === null && this.#forget(item))
    // Whoever loaded it may have died before it was written down.
    if (isNew && !loaded)
      await writeCatalogue(store, build, told).catch((error: unknown) => log.debug({ error }, 'not catalogued'))
  }

  #ended(item: Item, outcome: Outcome): void {
    this.#orders.ended(item, outcome)
    // Changed while it was read: nobody told of that before it was watched.
    if (outcome !== 'failed' && outcome !== 'unkept' && this.#watch.staleness(item) !== null) item.again = true
  }

  /** Somebody has put an entry into the shared tier. */
  #hear(told: Announcement): void {
    const { id, found } = told
    if (this.#owned[bucketOf(id)] === 0) return
    const item = this.#watch.items.get(id)
    if (!found) {
      if (item === undefined) return
      item.found = false
      if (item.place === null) this.#forget(item)
      else this.#watch.adopt(item, told)
      return
    }
    const isOwn = item?.dates.some((held) =>
      told.parts.some(
        ({ database, epoch, asOf }) => held.database === database && held.epoch === epoch && held.asOf === asOf,
      ),
    )
    const known = this.#take(told)
    if (known === null || isOwn === true) return
    known.visitedAtMs = performance.now()
    this.#weights.add(id, 1)
    const onDemand = this.#onDemand.get(known.source)
    // Behind all others: the first is the one that was asked for least lately.
    if (onDemand?.delete(known) === true) onDemand.add(known)
  }

  /** Looks after an entry from now on. Null: of no page or object that this app has. */
  #take(told: CatalogueEntry): Item | null {
    const source = this.#sources.get(told.source)
    if (source === undefined || !told.id.startsWith(source.prefix)) return null
    const item = this.#itemOf(told.id, source, told.key)
    item.loadMs = told.loadMs
    item.found = true
    if (!this.#watch.adopt(item, told)) return item
    const { expiresAtMs } = item
    if (source.ttlMs === null && expiresAtMs !== Infinity && item.state === 'idle') {
      // Of a table whose rows are not told apart yet.
      this.#bakes.touchAt(
        item,
        performance.now() + Math.max(0, Math.min(300, expiresAtMs - Date.now() - earlyMs)),
        true,
      )
    } else if (this.#watch.staleness(item) !== null) this.#bakes.touch(item)
    return item
  }

  #itemOf(id: string, source: Source<any>, key: unknown): Item {
    const { items } = this.#watch
    const known = items.get(id)
    if (known !== undefined) return known
    const item = items.add(id, source, key, performance.now())
    let onDemand = this.#onDemand.get(source)
    if (onDemand === undefined) this.#onDemand.set(source, (onDemand = new Set()))
    onDemand.add(item)
    if (onDemand.size * this.#workers > maxOnDemand) this.#drop([onDemand.values().next().value!])
    return item
  }

  #forget(item: Item): void {
    this.#bakes.forget(item)
    this.#watch.remove(item)
    this.#onDemand.get(item.source)?.delete(item)
  }

  /** Nobody has asked for them for long. */
  #drop(items: readonly Item[]): void {
    const { store, build, log } = this.#options
    for (const item of items) this.#forget(item)
    const ids = items.map(({ id }) => id)
    dropFromCatalogue(store, build, ids).catch((error: unknown) =>
      log.debug({ error }, 'entries stay in the catalogue'),
    )
  }

  /** Other buckets are this worker's than before. */
  async #own(owned: Uint8Array, workers: number): Promise<void> {
    if (this.#stopped) return
    const before = this.#owned
    this.#workers = workers
    // What is told from now on is heard; what was told before stands in the catalogue.
    this.#owned = owned
    const gained: number[] = []
    for (let bucket = 0; bucket < bucketCount; bucket += 1) {
      if (owned[bucket] === before[bucket]) continue
      if (owned[bucket] === 1) gained.push(bucket)
      else for (const item of [...this.#watch.items.inBucket(bucket)]) this.#forget(item)
    }
    for (let at = 0; at < gained.length && !this.#stopped; at += bucketsAtOnce) {
      await Promise.all(gained.slice(at, at + bucketsAtOnce).map((bucket) => this.#read(bucket)))
    }
    if (this.#stopped) return
    for (const list of this.#lists) list.read()
    const { pages } = this.#options
    for (const { source, atMs } of lastTicks(pages.sources, Date.now()))
      await this.#orders.take(tickOrder(source, atMs))
    this.#orders.start()
    await this.#orders.retake()
  }

  async #read(bucket: number): Promise<void> {
    const { store, build } = this.#options
    const entries = await readCatalogue(store, build, bucket).catch(() => null)
    // The store is away for a moment; who asks for the pages is none the worse for it.
    if (entries === null) return void setTimeout(() => !this.#stopped && void this.#read(bucket), sweepEveryMs).unref()
    if (this.#owned[bucket] === 1) for (const entry of entries) this.#take(entry)
  }

  async #takeList(list: List, keys: readonly PageKey[]): Promise<void> {
    const { source, reading } = list
    for (const [place, key] of keys.entries()) {
      if (place % sliceSize === sliceSize - 1) await new Promise((resolve) => setImmediate(resolve))
      const id = source.prefix + canonicalKey(key, source.name)
      if (this.#owned[bucketOf(id)] === 0) continue
      const item = this.#watch.items.get(id) ?? this.#watch.items.add(id, source, key, performance.now())
      this.#onDemand.get(source)?.delete(item)
      item.place = place
      item.listing = reading
    }
    for (const item of this.#watch.items as Iterable<Item>) {
      if (item.source !== source || item.place === null || item.listing === reading) continue
      item.place = null
      if (item.parts === null || !item.found) this.#forget(item)
      else this.#itemsOnDemand(source).add(item)
    }
    this.#findMissing()
  }

  #itemsOnDemand(source: Source<any>): Set<Item> {
    let onDemand = this.#onDemand.get(source)
    if (onDemand === undefined) this.#onDemand.set(source, (onDemand = new Set()))
    return onDemand
  }

  #findMissing(): void {
    const missing: Item[] = []
    for (const item of this.#watch.items as Iterable<Item>) if (isMissing(item)) missing.push(item)
    // Taken from the end.
    this.#missing = missing.sort((one, other) => other.place! - one.place!)
    this.#bakes.wake()
  }

  #nextMissing(): Item | null {
    for (let item = this.#missing.pop(); item !== undefined; item = this.#missing.pop()) {
      if (isMissing(item) && this.#watch.items.get(item.id) === item) return item
    }
    return null
  }

  /** By the clock: the order is the same in all workers, each carries its part out. */
  async #tick(source: PageSource, atMs: number): Promise<void> {
    const { store, build, log } = this.#options
    const order = tickOrder(source, atMs)
    try {
      await openOrder(store, build, order)
      await this.#orders.take(order)
    } catch (error) {
      log.warn({ error, page: source.name }, 'a scheduled bake was not begun')
    }
  }

  #itemsFor(order: Order, bucket: number): readonly Item[] | null {
    if (this.#owned[bucket] === 0) return null
    const all = [...this.#watch.items.inBucket(bucket)]
    if (order.kind === 'all') return all
    if (order.kind === 'listed') return all.filter(({ source, place }) => place !== null && source.name === order.path)
    if (order.kind === 'over') return all.filter((item) => item.left || this.#watch.staleness(item) !== null)
    const match = this.#options.pages.routes.match(order.path ?? '')
    return match === null ? [] : [this.#itemOf(match.id, this.#options.pages.sources[match.route]!, match.key)]
  }

  #bucketFor({ path = '' }: Order): number | null {
    const match = this.#options.pages.routes.match(path)
    return match === null ? null : bucketOf(match.id)
  }

  #nameOf({ source, key, id }: Item): string {
    const { pages } = this.#options
    const route = pages.sources.indexOf(source as PageSource)
    return route < 0 ? id.slice(id.indexOf(source.name)) : pages.routes.urlOf(route, key as PageKey)
  }

  /** Something else than a change may have ended any of them. */
  #lookAtAll(): void {
    this.#lookAgain = true
    for (const list of this.#lists ?? []) list.read()
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null
    })
  }

  async #look(): Promise<void> {
    while (this.#lookAgain && !this.#stopped) {
      this.#lookAgain = false
      for (let from: number | null = 0; from !== null && !this.#stopped;) {
        // Not in the step in which the change is taken.
        await new Promise((resolve) => setImmediate(resolve))
        const { items, next } = this.#watch.items.slice(from, sliceSize)
        for (const item of items)
          if (item.parts !== null && this.#watch.staleness(item) !== null) this.#bakes.touch(item)
        from = next
      }
    }
  }

  /** What nothing was told of: entries that a full filter takes for changed, announcements that were missed. */
  #sweep(): void {
    const nowMs = performance.now()
    const { items, next } = this.#watch.items.slice(this.#sweepAt ?? 0, sweepSize)
    this.#sweepAt = next
    const unvisited: Item[] = []
    for (const item of items) {
      if (item.place === null && nowMs - item.visitedAtMs > longestUnvisitedMs) unvisited.push(item)
      else if (isQuiet(item) && isWanted(item, this.#watch.staleness(item))) this.#bakes.touch(item)
    }
    if (unvisited.length > 0) this.#drop(unvisited)
    this.#sweeping ??= this.#sweepCatalogue().finally(() => {
      this.#sweeping = null
    })
  }

  async #sweepCatalogue(): Promise<void> {
    const { store, build } = this.#options
    do {
      const bucket = this.#nextOwned()
      if (bucket === null || this.#stopped) return
      await this.#read(bucket)
      await renewCatalogue(store, build, bucket).catch(() => undefined)
    } while (this.#toReread > 0)
  }

  /** The next bucket of this worker, round and round. */
  #nextOwned(): number | null {
    for (let count = 0; count < bucketCount; count += 1) {
      this.#sweepBucket = (this.#sweepBucket + 1) % bucketCount
      this.#toReread = Math.max(0, this.#toReread - 1)
      if (this.#owned[this.#sweepBucket] === 1) return this.#sweepBucket
    }
    return null
  }
}

function isMissing({ parts, place, state, failures, dueAtMs }: Item): boolean {
  return parts === null && place !== null && state === 'idle' && failures === 0 && dueAtMs === Infinity
}

function isQuiet({ state, left, failures, dueAtMs, parts }: Item): boolean {
  return state === 'idle' && !left && failures === 0 && dueAtMs === Infinity && parts !== null
}

/** What ends by the clock, and nobody lists, is left to whoever asks for it. */
function isWanted({ place }: Item, staleness: string | null): boolean {
  return staleness !== null && (staleness !== 'expired' || place !== null)
}

function tickOrder(source: PageSource, atMs: number): Order {
  return { id: `schedule:${source.name}:${atMs}`, kind: 'listed', path: source.name }
}
