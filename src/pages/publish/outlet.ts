/**
 * Between bakes and the places where pages are published, in a worker: hears of every bake, whoever has baked it, and
 * compares all pages with what was published when it starts. Each worker hears of all: the page's lease lets one of them
 * publish, and where that one dies another has heard of it too.
 *
 * Workers of two builds may publish the same page while a rollout lasts, each what its code renders. Each says that it
 * is there; when the last of another build has gone, those that are left publish all of theirs again.
 */

import { randomBytes } from 'node:crypto'

import { followAnnouncements } from '../announcements.ts'
import { bucketCount, readCatalogue } from '../catalogue.ts'

import type { Logger } from '../../core/log.ts'
import type { Registration, Store } from '../../store/store.ts'
import type { CatalogueEntry } from '../catalogue.ts'
import type { PageKey, PageRoutes } from '../routes.ts'
import type { Publisher } from './publisher.ts'
import type { PageName, Publishing } from './publishing.ts'

export interface PageOutletOptions {
  readonly publishing: Publishing
  readonly publishers: readonly Publisher[]
  readonly routes: PageRoutes
  readonly store: Store
  readonly build: string
  readonly log: Logger
  /** Default: 5,000. */
  readonly everyMs?: number
}

/** What is told of an entry. */
type Known = Pick<CatalogueEntry, 'id' | 'source' | 'key'>

const group = 'pages:publishing'
const missedBeats = 3
const sweepMs = 60_000

export class PageOutlet {
  readonly #options: Required<PageOutletOptions>
  readonly #self = randomBytes(9).toString('base64url')
  readonly #routes = new Map<string, number>()
  readonly #end = new AbortController()
  #unfollow: (() => Promise<void>) | null = null
  #registration: Registration | null = null
  #others: ReadonlySet<string> = new Set()
  #comparisonWaits = false
  #timer: NodeJS.Timeout | null = null
  #beating: Promise<void> | null = null
  #repairs: Promise<void> = Promise.resolve()

  constructor(options: PageOutletOptions) {
    this.#options = { everyMs: 5_000, ...options }
    for (const [at, { path }] of options.routes.routes.entries()) this.#routes.set(path, at)
  }

  start(): void {
    const { store, build, log, everyMs } = this.#options
    const hear = (told: readonly Known[]): void => told.forEach((one) => this.#heard(one))
    this.#unfollow = followAnnouncements({ store, build, log, hear, missed: () => this.#compareAll() })
    this.#timer = setInterval(() => this.#beat(), everyMs)
    this.#beat()
    this.#repair(() => this.#tidy())
    this.#compareAll()
  }

  /** What is under way ends first. May be called twice. */
  async stop(): Promise<void> {
    if (this.#end.signal.aborted) return
    this.#end.abort()
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#unfollow?.()
    await this.#options.publishing.close()
    await Promise.all([this.#repairs, this.#beating])
    if (this.#registration !== null) await this.#options.store.withdraw(this.#registration).catch(() => undefined)
  }

  /** A page was baked, or found to be no page. */
  #heard(known: Known): void {
    const name = this.#nameOf(known)
    if (name !== null) this.#options.publishing.publish(name, null)
  }

  /** One at a time: whoever asks for it while it waits is served by the one that waits. */
  #compareAll(): void {
    if (this.#comparisonWaits) return
    this.#comparisonWaits = true
    this.#repair(async () => {
      this.#comparisonWaits = false
      await this.#options.publishing.repair(this.#catalogued())
    })
  }

  async *#catalogued(): AsyncGenerator<PageName> {
    const { store, build } = this.#options
    for (let bucket = 0; bucket < bucketCount && !this.#end.signal.aborted; bucket += 1) {
      for (const known of await readCatalogue(store, build, bucket)) {
        const name = this.#nameOf(known)
        if (name !== null) yield name
      }
    }
  }

  #nameOf({ id, source, key }: Known): PageName | null {
    const route = this.#routes.get(source)
    if (route === undefined || !id.startsWith(this.#options.routes.routes[route]!.prefix)) return null
    const { path, query } = this.#options.routes.routes[route]!
    return { id, path, url: this.#options.routes.urlOf(route, key as PageKey), looksAtQuery: query.length > 0 }
  }

  #repair(work: () => Promise<unknown>): void {
    this.#repairs = this.#repairs.then(async () => {
      if (this.#end.signal.aborted) return
      await work().catch((error: unknown) =>
        this.#options.log.warn({ error }, 'published pages were not compared: the next start does it'),
      )
    })
  }

  /** What killed workers and former builds have left behind. */
  async #tidy(): Promise<void> {
    const { publishers, publishing, routes } = this.#options
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(sweepMs)])
    for (const publisher of publishers) await publisher.sweep?.(signal)
    await publishing.removeOthers((url) => routes.match(url) !== null)
  }

  #beat(): void {
    this.#beating ??= this.#sayAndSee()
      .catch((error: unknown) => this.#options.log.debug({ error }, 'other publishing workers are not known'))
      .finally(() => {
        this.#beating = null
      })
  }

  async #sayAndSee(): Promise<void> {
    const { store, build, everyMs } = this.#options
    const ttlMs = everyMs * missedBeats
    const held = this.#registration !== null && (await store.renewRegistration(this.#registration, ttlMs))
    if (!held) this.#registration = await store.register(group, this.#self, Buffer.from(build), ttlMs)
    const view = await store.readRegistry(group)
    const builds = new Set((view?.entries ?? []).map(({ value }) => Buffer.from(value).toString()))
    const gone = [...this.#others].some((other) => !builds.has(other))
    builds.delete(build)
    this.#others = builds
    if (gone) this.#compareAll()
  }
}
