/**
 * Bakes ahead of demand, in a worker: knows the entries of its buckets and what each depends on, hears what changes, and
 * loads again what is over. Why each entry is baked once for each change, and none is forgotten: docs/decisions/035-baking.md.
 *
 * Nobody needs a worker for a right answer. Whatever it does late or not at all is done by whoever asks for the page.
 */

import { followAnnouncements, type Announcement } from '../announcements.ts'
import { followVisits } from '../visits.ts'
import { bucketOf } from '../catalogue.ts'
import { bakeItem } from './bake-item.ts'
import { Bakes, type Outcome } from './bakes.ts'
import { Buckets } from './buckets.ts'
import { Holdings } from './holdings.ts'
import { Item, type Watched } from './items.ts'
import { KnownScope } from './known-scope.ts'
import { Lists } from './lists.ts'
import { lookEveryMs, Looks } from './looks.ts'
import { Members } from './members.ts'
import { openOrder, Orders, type Order } from './orders.ts'
import { Presence } from './presence.ts'
import { lastTicks, startSchedules } from './schedule.ts'
import { Watch } from './watch.ts'
import { Weights } from './weights.ts'

import type { Clusters } from '../../cache/checks.ts'
import type { CacheCore } from '../../cache/core.ts'
import type { Source } from '../../cache/source.ts'
import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'
import type { PageSource } from '../page-source.ts'
import type { Pages } from '../pages.ts'
import type { PageKey } from '../routes.ts'
import type { List } from './list.ts'
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
  /** Hears of what is baked no more, where somebody else hands out what was baked; null: nobody does. */
  readonly dropped: ((known: Pick<Announcement, 'id' | 'source' | 'key'>) => void) | null
  readonly log: Logger
}

const maxToldFailures = 10

export class Baker {
  readonly #options: BakerOptions
  readonly #watch: Watch
  readonly #bakes: Bakes
  readonly #holdings: Holdings
  readonly #buckets: Buckets
  readonly #lists: Lists
  readonly #orders: Orders
  readonly #looks: Looks
  readonly #presence: Presence
  readonly #members: Members
  #changing: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null
  #enders: (() => Promise<void> | void)[] = []
  #stopped = false

  constructor(options: BakerOptions) {
    const { core, clusters, pages, objects, store, build, self, log } = options
    const { sources } = pages
    this.#options = options
    const scope = new KnownScope(clusters)
    const weights = new Weights()
    const watch = (this.#watch = new Watch({
      clusters,
      checks: core.checks,
      touched: (watched) => this.#touch(watched),
      forgotten: () => this.#forgotten(),
    }))
    const bakes = (this.#bakes = new Bakes({
      ...options,
      bakesLeft: options.dropped !== null,
      bake: (item, anew) => bakeItem(item, anew, { core, clusters, scope, holdings: this.#holdings }),
      next: () => this.#orders.next() ?? this.#lists.next(),
      ended: (item, outcome) => this.#ended(item, outcome),
      weightOf: (id) => weights.of(id),
    }))
    const wake = (): void => bakes.wake()
    const all = [...sources, ...objects]
    const dropped = this.#dropper()
    const held = { watch, sources: all, bakes, weights, store, build, log, dropped }
    const holdings = (this.#holdings = new Holdings(held))
    const buckets = (this.#buckets = new Buckets({ store, build, watch, holdings }))
    const { makeTools } = core
    this.#lists = new Lists({ sources, watch, holdings, buckets, clusters, makeTools, scope, log, wake })
    this.#looks = new Looks({ watch, bakes, holdings })
    this.#presence = new Presence({ ...options, watch, bakes, shared: core.shared, checks: core.checks })
    this.#orders = new Orders({
      ...{ store, build, log, wake },
      prepare: (order) => this.#prepare(order),
      itemsFor: (order, bucket) => this.#itemsFor(order, bucket),
      bucketFor: (order) => this.#bucketFor(order),
      nameOf: (item) => this.#nameOf(item),
    })
    const changed = (owned: Uint8Array, members: number): void => this.#change(owned, members)
    this.#members = new Members({ ...{ store, self, build, log, changed }, status: () => this.status() })
  }

  /** May be called twice. */
  start(): void {
    if (this.#timer !== null || this.#stopped) return
    const { store, build, pages, log } = this.#options
    const hear = (told: readonly Announcement[]): void => {
      for (const one of told) if (this.#buckets.owns(one.id)) this.#holdings.hear(one)
    }
    const missed = (): void => this.#buckets.hurry()
    this.#enders = [
      followAnnouncements({ store, build, log, hear, missed }),
      followVisits({ store, build, log, hear: (visits) => visits.forEach((visit) => this.#holdings.visited(visit)) }),
      startSchedules({ sources: pages.sources, tick: (source, atMs) => void this.#tick(source, atMs) }),
    ]
    this.#members.start()
    this.#timer = setInterval(() => {
      this.#looks.some()
      this.#presence.some()
      this.#buckets.readNext()
    }, lookEveryMs)
  }

  /** What was begun ends first. May be called twice. */
  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#watch.stop()
    await this.#members.stop()
    for (const end of this.#enders) await end()
    await Promise.all([this.#bakes.stop(), this.#orders.stop(), this.#lists.stop()])
    await Promise.all([this.#buckets.stop(), this.#looks.stop(), this.#presence.stop(), this.#changing])
  }

  /** It is in no tier; whoever has to bake it does so in the end. */
  missing(id: string): void {
    const item = this.#watch.items.get(id)
    if (item !== undefined) this.#bakes.later(item)
  }

  /** There are entries in the catalogue of which nobody was told. */
  hurry(): void {
    this.#buckets.hurry()
  }

  status(): BakerStatus {
    const { counts, failing, queue } = this.#bakes
    const told = [...failing].slice(0, maxToldFailures)
    return {
      entries: this.#watch.items.size,
      waiting: queue.size + this.#lists.missing,
      baked: counts.baked,
      failed: counts.failed,
      left: counts.left,
      failing: failing.size,
      failures: told.map((item) => ({ what: this.#nameOf(item), error: item.error ?? '', failures: item.failures })),
    }
  }

  #dropper(): ((item: Item) => void) | null {
    const { dropped } = this.#options
    return dropped && (({ id, source, key }) => dropped({ id, source: source.name, key: key as PageKey }))
  }

  #touch(watched: Watched): void {
    if (watched instanceof Item) this.#bakes.touch(watched)
    else (watched as List).read()
  }

  /** Something else than a change may have ended any of them. */
  #forgotten(): void {
    this.#lists.read()
    this.#looks.all()
  }

  #ended(item: Item, outcome: Outcome): void {
    this.#orders.ended(item, outcome)
    // Changed while it was read: nobody told of that before it was watched.
    if (outcome !== 'failed' && outcome !== 'unkept' && this.#watch.staleness(item) !== null) item.again = true
  }

  /** Other buckets are this worker's than before. One change after the other. */
  #change(owned: Uint8Array, members: number): void {
    const { log } = this.#options
    this.#changing = this.#changing
      .then(() => this.#own(owned, members))
      .catch((error: unknown) => log.warn({ error }, 'buckets were not taken over'))
  }

  async #own(owned: Uint8Array, members: number): Promise<void> {
    if (this.#stopped) return
    this.#holdings.workers = members
    await this.#buckets.take(owned)
    if (this.#stopped) return
    // What is listed and known need not be looked for.
    this.#lists.read()
    for (const { source, atMs } of lastTicks(this.#options.pages.sources, Date.now())) {
      await this.#orders.take(tickOrder(source, atMs))
    }
    this.#orders.start()
    await this.#orders.retake()
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

  async #prepare({ kind, path }: Order): Promise<string[]> {
    const faults = await this.#lists.current(kind === 'listed' ? path : undefined)
    if (kind === 'over') await this.#presence.all()
    return faults
  }

  #isOver(item: Item): boolean {
    return item.left || item.missing || this.#watch.staleness(item) !== null
  }

  #itemsFor(order: Order, bucket: number): readonly Item[] | null {
    if (!this.#buckets.has(bucket)) return null
    const all = [...this.#watch.items.inBucket(bucket)]
    if (order.kind === 'all') return all
    if (order.kind === 'listed') return all.filter(({ source, place }) => place !== null && source.name === order.path)
    if (order.kind === 'over') return all.filter((item) => this.#isOver(item))
    const { routes, sources } = this.#options.pages
    const match = routes.match(order.path ?? '')
    return match === null ? [] : [this.#holdings.itemOf(match.id, sources[match.route]!, match.key)]
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
}

function tickOrder(source: PageSource, atMs: number): Order {
  return { id: `schedule:${source.name}:${atMs}`, kind: 'listed', path: source.name }
}
