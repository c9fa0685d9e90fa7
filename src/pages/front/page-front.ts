/**
 * Answers pages from memory, in a process that has none of the app's code: the balancer. Whatever is not certain goes to
 * a clone (docs/decisions/034-pages-in-the-balancer.md).
 *
 * Invariants:
 * - Nothing is answered but what {@link Checks} calls fresh for the request's reader.
 * - Nothing is answered while a rollout moves readers, nor for a build whose routes are not known.
 * - Nothing here rejects or throws, and nothing waits longer than a store's deadline and `replicaWait`.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { fixedReader } from '../../freshness/reader.ts'
import { Scope } from '../../freshness/scope.ts'
import { readManifest, type PageManifest } from '../route-record.ts'
import { BuildPages, type BuildPagesOptions } from './build-pages.ts'
import { HeldPage } from './held-page.ts'

import type { MissReason, Verdict } from '../../cache/entry.ts'
import type { PageAnswer, PageConditions } from '../answer.ts'

/** A GET or HEAD that carries no credentials in its headers. */
export interface FrontRequest extends PageConditions {
  /** Path and query. */
  readonly target: string
  readonly cookie: string | undefined
  /** `Fourfold-Reader`. */
  readonly reader: string | undefined
}

/** A reader's key, null for nobody, or undefined: only a clone can tell. Never rejects. */
export type FindReader = (
  presented: Pick<FrontRequest, 'cookie' | 'reader'>,
  identifies: boolean,
) => string | null | undefined | Promise<string | null | undefined>

export interface PageFrontOptions extends Omit<BuildPagesOptions, 'build' | 'manifest' | 'more'> {
  readonly findReader: FindReader
  /** Whom it will most likely find, at once; undefined where there is no telling. */
  readonly guessReader: (presented: Pick<FrontRequest, 'cookie' | 'reader'>) => string | undefined
  /** This process's, as the manifest of a build has them. */
  readonly settings: string
  /** Headers of each answer of a build, flat. */
  readonly headersOf: (build: string) => readonly string[]
}

/** How soon routes that are not there are looked for again, and how seldom in the end. */
const firstRetryMs = 50
const lastRetryMs = 2_000
/** Who needs nothing but young pages does not wait for changes again that did not come just now. */
const behindMs = 100

export class PageFront {
  readonly #options: PageFrontOptions
  /** Whoever has written nothing: the same for all. */
  readonly #nobody = new Scope({ reader: null, keepToken: true })
  #pages: BuildPages | null = null
  /** What was read last, also while it is not admitted. */
  #loaded: { readonly build: string; readonly pages: BuildPages } | null = null
  #admitted = 'none'
  #loading = new AbortController()
  #behindUntilMs = 0

  constructor(options: PageFrontOptions) {
    this.#options = options
  }

  /**
   * Pages of this build may be answered from now on; null: of none.
   *
   * @param version another value where the code of a build may be another, though its name is the same
   */
  admit(build: string | null, version = ''): void {
    const admitted = build === null ? 'none' : `build ${build} ${version}`
    if (admitted === this.#admitted) return
    this.#admitted = admitted
    this.#loading.abort()
    this.#pages = null
    if (build === null) return
    this.#loading = new AbortController()
    // A build with a name never has other routes.
    const loaded = this.#loaded
    if (build !== '' && loaded?.build === build) this.#pages = this.#isOurs(loaded.pages.manifest) ? loaded.pages : null
    else void this.#load(build, this.#loading.signal)
  }

  /** Null: a clone has to answer. */
  answer(request: FrontRequest): PageAnswer | null | Promise<PageAnswer | null> {
    const pages = this.#pages
    if (pages === null) return null
    const found = pages.find(request.target)
    if (found === null || (request.cookie !== undefined && !pages.isFor(request.target, request.cookie))) return null
    if (request.cookie !== undefined || request.reader !== undefined) return this.#answerReader(pages, found, request)
    if (typeof found === 'string') return pages.mayFetch(found) ? this.#answerLater(pages, found, request, null) : null
    const verdict = this.#options.checks.now(found.entry, this.#nobody)
    if (verdict === 'fresh') return found.page.answerTo(request)
    if (verdict === null) {
      return performance.now() < this.#behindUntilMs ? null : this.#answerLater(pages, found, request, null)
    }
    return isOver(verdict) && pages.mayFetch(found.id) ? this.#answerLater(pages, found.id, request, null) : null
  }

  async close(): Promise<void> {
    this.#admitted = 'closed'
    this.#pages = null
    this.#loading.abort()
    await this.#loaded?.pages.close()
  }

  async #answerReader(pages: BuildPages, found: HeldPage | string, request: FrontRequest): Promise<PageAnswer | null> {
    const id = typeof found === 'string' ? found : found.id
    // What a clone has to render anyway is no reason to ask for a token.
    const over = typeof found === 'string' || this.#options.checks.staleness(found.entry) !== null
    if (over && !pages.mayFetch(id)) return null
    const guessed = over ? undefined : this.#options.guessReader(request)
    // Both travel to the store together.
    const early = guessed === undefined ? null : this.#ask(found as HeldPage, guessed)
    const reader = await this.#options.findReader(request, pages.manifest.identifies)
    if (reader === undefined) return null
    if (early === null || reader !== guessed) return await this.#answerLater(pages, over ? id : found, request, reader)
    return this.#answerIf(await early, pages, found as HeldPage, request)
  }

  async #answerLater(
    pages: BuildPages,
    found: HeldPage | string,
    request: FrontRequest,
    reader: string | null,
  ): Promise<PageAnswer | null> {
    try {
      const page = typeof found === 'string' ? await pages.fetch(found) : found
      if (page === null) return null
      const verdict = await this.#ask(page, reader)
      if (verdict === 'behind' && reader === null) this.#behindUntilMs = performance.now() + behindMs
      return this.#answerIf(verdict, pages, page, request)
    } catch (error) {
      this.#options.log.debug({ error }, 'a page was left to a clone')
      return null
    }
  }

  async #ask({ entry }: HeldPage, reader: string | null): Promise<Verdict> {
    const scope = reader === null ? this.#nobody : new Scope({ reader: fixedReader(reader), keepToken: true })
    try {
      return await this.#options.checks.ask(entry, scope)
    } catch (error) {
      this.#options.log.debug({ error }, 'a page was left to a clone')
      return 'database'
    }
  }

  /** Another build may have been let in meanwhile, or none. */
  #answerIf(verdict: Verdict, pages: BuildPages, page: HeldPage, request: FrontRequest): PageAnswer | null {
    return verdict === 'fresh' && this.#pages === pages ? page.page.answerTo(request) : null
  }

  /** Whoever opens the app in a clone writes the routes down before it serves: they may be late, or the store away. */
  async #load(build: string, signal: AbortSignal): Promise<void> {
    const { store, headersOf, log } = this.#options
    for (let waitMs = firstRetryMs; !signal.aborted; waitMs = Math.min(lastRetryMs, 2 * waitMs)) {
      const manifest = await readManifest(store, build).catch(() => null)
      if (signal.aborted) return
      if (manifest !== null) return this.#use(build, manifest, headersOf(build))
      await pause(waitMs, undefined, { signal }).catch(() => undefined)
    }
    log.debug({ build }, 'the pages of a build are not looked for any more')
  }

  #isOurs({ settings = '' }: PageManifest): boolean {
    if (settings === this.#options.settings) return true
    this.#options.log.warn(
      {},
      'a build has other settings than this balancer: clones answer its pages until the next start',
    )
    return false
  }

  #use(build: string, manifest: PageManifest, more: readonly string[]): void {
    const { checks, memory, shared, expandedBytes, store, sessionCookie, log } = this.#options
    const before = this.#loaded
    try {
      const pages = new BuildPages({
        build,
        manifest,
        checks,
        memory,
        shared,
        expandedBytes,
        store,
        sessionCookie,
        more,
        log,
      })
      this.#loaded = { build, pages }
      this.#pages = this.#isOurs(manifest) ? pages : null
    } catch (error) {
      log.warn({ error }, 'the routes of the pages are not understood: clones answer them')
    }
    void before?.pages.close()
  }
}

/** Whether another entry may be there that is fresh. */
function isOver(verdict: Verdict): verdict is MissReason {
  return verdict !== 'fresh' && verdict !== 'behind' && verdict !== 'database' && verdict !== 'replica'
}
