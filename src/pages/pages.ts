/**
 * The pages of an opened app: found like any cached object, for one reader at a time, and rendered where nobody has
 * them.
 *
 * A render that fails keeps the page that was there before, for readers to whom that is no step back: those whose own
 * last write it shows (`session`, `eventual`). Others get the failure.
 */

import { AnsweredPage } from './answer.ts'
import { createPageSource, type PageSource } from './page-source.ts'
import { PageRoutes, type PageMatch } from './routes.ts'

import type { CacheCore } from '../cache/core.ts'
import type { Entry } from '../cache/entry.ts'
import type { From } from '../cache/lookups.ts'
import type { Logger } from '../core/log.ts'
import type { Scope } from '../freshness/scope.ts'
import type { PageDefinition } from './define-page.ts'
import type { PageDocument } from './document.ts'

export interface PagesOptions {
  readonly definitions: readonly PageDefinition[]
  readonly core: CacheCore
  /** Names the app's code. */
  readonly build: string
  readonly log: Logger
}

export interface FoundPage {
  readonly page: AnsweredPage
  /** `failed`: the render failed, and this is what was there before. */
  readonly from: From | 'failed'
}

const getMethods = new Set(['GET', 'HEAD'])

export class Pages {
  readonly routes: PageRoutes
  /** In the order of the routes. */
  readonly sources: readonly PageSource[]
  readonly #options: PagesOptions
  readonly #answered = new WeakMap<PageDocument, AnsweredPage>()

  /** @throws FF_PAGE_DEFINITION */
  constructor(options: PagesOptions) {
    const { definitions, core, build } = options
    this.#options = options
    this.sources = definitions.map((definition) => createPageSource(definition, build, core.makeTools))
    this.routes = new PageRoutes(this.sources.map(({ route }) => route))
  }

  /** The page that a request asks for; null where it is none. */
  match(method: string | undefined, target: string | undefined): PageMatch | null {
    if (this.sources.length === 0 || target === undefined || !getMethods.has(method ?? '')) return null
    return this.routes.match(target)
  }

  /** @throws what the render throws, FF_PAGE_ANSWER, FF_PAGE_PERSONAL, FF_CACHE_BUSY */
  async find(match: PageMatch, scope: Scope): Promise<FoundPage> {
    const { core, log } = this.#options
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
      const before = await core.lookups.before(match.id, scope)
      if (before === null) throw error
      log.warn(
        { error, page: this.routes.urlOf(match.route, match.key) },
        'a page was not baked: the one before is kept',
      )
      return { page: this.#answeredOf(before), from: 'failed' }
    }
  }

  #answeredOf({ value }: Entry): AnsweredPage {
    return this.#answered.get(value as PageDocument) ?? this.#remember(value as PageDocument)
  }

  #remember(document: PageDocument): AnsweredPage {
    const answered = new AnsweredPage(document)
    this.#answered.set(document, answered)
    return answered
  }
}
