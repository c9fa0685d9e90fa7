/**
 * Between bakes and the places where pages are published, in a worker: hears of every bake, whoever has baked it, and
 * compares all pages with what was published when it starts. Each worker hears of all: the page's lease lets one of them
 * publish, and where that one dies another has heard of it too.
 *
 * What lies there and nobody bakes again would grow old unseen. So what bakers let go of is taken away; and what was
 * published once, is a page still and stands in no catalogue of this build is handed to them.
 *
 * Workers of two builds may publish the same page while a rollout lasts, each what its code renders. Each says that it
 * is there; when the last of another build has gone, those that are left do again all that they did when they started.
 */

import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import { followAnnouncements } from '../announcements.ts'
import { bucketCount, bucketOf, catalogueWanted, isWanted, readCatalogue } from '../catalogue.ts'

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
  /** Entries were put into the catalogue that are to be baked. */
  readonly wanted: () => void
  /** Default: 5,000. */
  readonly everyMs?: number
  /** Default: 1,000. */
  readonly firstRetryMs?: number
}

/** What is told of an entry. */
export type Known = Pick<CatalogueEntry, 'id' | 'source' | 'key'>

/** What is done with all pages. */
type Work = 'tidy' | 'compare'

const group = 'pages:publishing'
const missedBeats = 3
const sweepMs = 60_000
const longestRetryMs = 60_000

export class PageOutlet {
  readonly #options: Required<PageOutletOptions>
  readonly #self = randomBytes(9).toString('base64url')
  readonly #routes = new Map<string, number>()
  readonly #end = new AbortController()
  #unfollow: (() => Promise<void>) | null = null
  #registration: Registration | null = null
  #others: ReadonlySet<string> = new Set()
  readonly #asked = new Set<Work>()
  #timer: NodeJS.Timeout | null = null
  #beating: Promise<void> | null = null
  #repairs: Promise<void> = Promise.resolve()

  constructor(options: PageOutletOptions) {
    this.#options = { everyMs: 5_000, firstRetryMs: 1_000, ...options }
    for (const [at, { path }] of options.routes.routes.entries()) this.#routes.set(path, at)
  }

  start(): void {
    const { store, build, log, everyMs } = this.#options
    const hear = (told: readonly Known[]): void => told.forEach((one) => this.#heard(one))
    this.#unfollow = followAnnouncements({ store, build, log, hear, missed: () => this.#ask('compare') })
    this.#timer = setInterval(() => this.#beat(), everyMs)
    this.#beat()
    this.#ask('tidy')
    this.#ask('compare')
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

  /** Nobody bakes it again, as far as this worker knows. */
  dropped(known: Known): void {
    const name = this.#nameOf(known)
    if (name !== null) this.#options.publishing.drop(name)
  }

  /** A page was baked, or found to be no page. */
  #heard(known: Known): void {
    const name = this.#nameOf(known)
    if (name !== null) this.#options.publishing.publish(name, null)
  }

  /** One at a time: whoever asks for what waits already is served by that. What fails is done again, later and later. */
  #ask(what: Work, failures = 0): void {
    const { log, firstRetryMs } = this.#options
    const { signal } = this.#end
    if (this.#asked.has(what)) return
    this.#asked.add(what)
    this.#repairs = this.#repairs.then(async () => {
      this.#asked.delete(what)
      if (signal.aborted) return
      try {
        await (what === 'tidy' ? this.#tidy() : this.#options.publishing.repair(this.#catalogued()))
      } catch (error) {
        const retryMs = Math.min(longestRetryMs, firstRetryMs * 2 ** failures)
        log.warn({ error, retryMs }, 'published pages were not compared: trying again')
        pause(retryMs, undefined, { signal }).then(
          () => this.#ask(what, failures + 1),
          () => undefined,
        )
      }
    })
  }

  async *#catalogued(): AsyncGenerator<PageName> {
    const { store, build } = this.#options
    for (let bucket = 0; bucket < bucketCount && !this.#end.signal.aborted; bucket += 1) {
      for (const known of await readCatalogue(store, build, bucket)) {
        const name = isWanted(known) ? null : this.#nameOf(known)
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

  /** What killed workers and former builds have left behind. */
  async #tidy(): Promise<void> {
    const { publishers, wanted, log } = this.#options
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(sweepMs)])
    for (const publisher of publishers) {
      // They are only in nobody's way.
      await publisher.sweep?.(signal).catch((error: unknown) => log.debug({ error }, 'temporary files may be left'))
    }
    const known = await this.#published()
    let some = false
    for (const [bucket, all] of Map.groupBy(known, ({ id }) => bucketOf(id))) {
      if (this.#end.signal.aborted) return
      some = (await this.#want(bucket, all)) || some
    }
    if (some) wanted()
  }

  /** What was published and is a page still; what is none any more is taken away. */
  async #published(): Promise<Known[]> {
    const { publishing, routes } = this.#options
    const known: Known[] = []
    for await (const { url, gone } of publishing.published()) {
      const match = routes.match(url)
      // Its path may look at other parameters of the query than it did.
      const name = match && routes.urlOf(match.route, match.key) === url ? match : null
      const path = name === null ? url : routes.routes[name.route]!.path
      if (name === null || gone) publishing.drop({ id: name?.id ?? '', url, path, looksAtQuery: url.includes('?') })
      else known.push({ id: name.id, source: path, key: name.key })
    }
    return known
  }

  /** Nobody of this build looks after what is not in its catalogue. Answers whether there is any. */
  async #want(bucket: number, known: readonly Known[]): Promise<boolean> {
    const { store, build } = this.#options
    const catalogued = new Set((await readCatalogue(store, build, bucket)).map(({ id }) => id))
    const unknown = known.filter(({ id }) => !catalogued.has(id))
    for (const one of unknown) await catalogueWanted(store, build, one)
    return unknown.length > 0
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
    if (!gone) return
    this.#ask('tidy')
    this.#ask('compare')
  }
}
