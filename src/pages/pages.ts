/**
 * The pages of an opened app: found like any cached object, for one reader at a time, and rendered where nobody has
 * them.
 *
 * A render that fails keeps the page that was there before, for readers to whom that is no step back: those whose own
 * last write it shows (`session`, `eventual`). Others get the failure.
 */

import { isFourfoldError, type ErrorCode } from '../core/errors.ts'
import { AnsweredPage } from './answer.ts'
import { createPageSource, type PageSource } from './page-source.ts'
import { ExpandedPages } from './front/expanded-pages.ts'
import { isForPage, type ReaderHeaders } from './readers.ts'
import { bakeHeader, RouteBakes } from './route-bakes.ts'
import { createRouteSource, type BakeRoute } from './route-source.ts'
import { PageRoutes, type PageMatch } from './routes.ts'
import { Visits } from './visits.ts'

import type { CacheCore } from '../cache/core.ts'
import type { Entry } from '../cache/entry.ts'
import type { From } from '../cache/lookups.ts'
import type { Logger } from '../core/log.ts'
import type { Scope } from '../freshness/scope.ts'
import type { Store } from '../store/store.ts'
import type { PageDefinition } from './define-page.ts'
import type { PageDocument } from './document.ts'

export interface PagesOptions {
  readonly definitions: readonly PageDefinition[]
  /** Routes of the app that are baked, too. */
  readonly bakeRoutes?: readonly (string | BakeRoute)[]
  readonly core: CacheCore
  readonly store: Store
  /** Names the app's code. */
  readonly build: string
  /** The name of the session's cookie, without the prefix that it has over TLS. */
  readonly sessionCookie: string
  readonly log: Logger
}

export interface FoundPage {
  readonly page: AnsweredPage
  /** `failed`: the render failed, and this is what was there before. */
  readonly from: From | 'failed'
}

/** What of a request says which page it asks for. */
export interface PageTarget {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly headers?: Readonly<Record<string, string | string[] | undefined>>
}

const getMethods = new Set(['GET', 'HEAD'])
/** What a route is told of that is not everybody's, or that nobody could keep current. */
export const noPages: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'FF_PAGE_PERSONAL',
  'FF_PAGE_ANSWER',
  'FF_CACHE_NO_DEPENDENCY',
  'FF_CACHE_UNCACHEABLE',
])
const leftToTheApp = new Set<ErrorCode>([...noPages, 'FF_PAGE_ROUTE'])
const leftMs = 60_000
const maxLeft = 10_000
/** Beside the memory of entries: what of pages was expanded for the few who take nothing compressed. */
const expandedBytes = 16 * 1024 * 1024

export class Pages {
  readonly routes: PageRoutes
  /** In the order of the routes. */
  readonly sources: readonly PageSource[]
  readonly bakes: RouteBakes = new RouteBakes()
  /** Whether requests have levels of their own, which no balancer knows: adapters say so when they are set up. */
  perRequest = false
  readonly #options: PagesOptions
  /** Addresses of routes that could not be baked, and until when they are left to the app. */
  readonly #left = new Map<string, number>()
  readonly #answered = new WeakMap<PageDocument, AnsweredPage>()
  readonly #expanded = new ExpandedPages(expandedBytes)
  readonly #visits: Visits

  /** @throws FF_PAGE_DEFINITION */
  constructor(options: PagesOptions) {
    const { definitions, bakeRoutes = [], core, store, build, log } = options
    this.#options = options
    this.#visits = new Visits({ store, build, log })
    this.sources = [
      ...definitions.map((definition) => createPageSource(definition, build, core.makeTools)),
      ...bakeRoutes.map((route) => createRouteSource(route, build, this.bakes)),
    ]
    this.routes = new PageRoutes(this.sources.map(({ route }) => route))
  }

  get build(): string {
    return this.#options.build
  }

  /** Where this process serves the app, so that routes can be baked: `http://127.0.0.1:40123`. */
  servesAt(origin: string): void {
    this.bakes.servesAt(origin)
  }

  /** The page that a request asks for; null where it is none, is not for its reader, or is part of a route's bake. */
  match({ method, url, headers }: PageTarget): PageMatch | null {
    if (this.sources.length === 0 || url === undefined || !getMethods.has(method ?? '')) return null
    const match = this.routes.match(url)
    if (match === null || headers === undefined) return match
    const { readers = 'everybody' } = this.routes.routes[match.route]!
    if (!isForPage(readers, headers as ReaderHeaders, this.#options.sessionCookie)) return null
    if (headers[bakeHeader] === undefined) return match
    return this.bakes.of(headers) === null ? match : null
  }

  /**
   * The page, as fresh as the scope's reader needs it; null for a route that cannot be baked and is the app's to answer.
   *
   * @throws what the render throws, FF_PAGE_ANSWER, FF_PAGE_PERSONAL, FF_CACHE_BUSY
   */
  async find(match: PageMatch, scope: Scope): Promise<FoundPage | null> {
    if (!this.sources[match.route]!.ofRoute) return await this.#find(match, scope)
    if (this.#isLeft(match.id)) return null
    try {
      return await this.#find(match, scope)
    } catch (error) {
      if (!isFourfoldError(error) || !leftToTheApp.has(error.code)) throw error
      this.#leave(match, error)
      return null
    }
  }

  async #find(match: PageMatch, scope: Scope): Promise<FoundPage> {
    const { core, log } = this.#options
    this.#visits.add(match.id)
    const source = this.sources[match.route]!
    const held = core.memory.get(match.id)
    if (held !== undefined && core.checks.now(held, scope) === 'fresh') {
      core.metrics.of(source.name).hits.memory += 1
      return { page: this.#answeredOf(held), from: 'memory' }
    }
    try {
      const { value, from } = await core.lookups.find(source, match.key, match.id, scope, null)
      return { page: this.#answered.get(value as PageDocument) ?? this.#remember(value as PageDocument), from }
    } catch (error) {
      // The page of before is no answer any more: its address has become one of the app's own.
      const isNoPage = source.ofRoute && isFourfoldError(error) && noPages.has(error.code)
      const before = isNoPage ? null : await core.lookups.before(match.id, scope)
      if (before === null) throw error
      log.warn(
        { error, page: this.routes.urlOf(match.route, match.key) },
        'a page was not baked: the one before is kept',
      )
      return { page: this.#answeredOf(before), from: 'failed' }
    }
  }

  /** May be called twice. */
  close(): void {
    this.#visits.close()
  }

  #isLeft(id: string): boolean {
    const untilMs = this.#left.get(id)
    if (untilMs === undefined) return false
    if (performance.now() < untilMs) return true
    this.#left.delete(id)
    return false
  }

  #leave({ id, route, key }: PageMatch, error: unknown): void {
    this.#options.log.warn({ error, page: this.routes.urlOf(route, key) }, 'a route was not baked: the app answers it')
    // They come from anybody.
    if (this.#left.size >= maxLeft) this.#left.clear()
    this.#left.set(id, performance.now() + leftMs)
  }

  #answeredOf({ value }: Entry): AnsweredPage {
    return this.#answered.get(value as PageDocument) ?? this.#remember(value as PageDocument)
  }

  #remember(document: PageDocument): AnsweredPage {
    const answered = new AnsweredPage(document, [], this.#expanded.add)
    this.#answered.set(document, answered)
    return answered
  }
}
