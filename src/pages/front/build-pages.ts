/**
 * The pages of one build as the balancer has them: found by their addresses, fetched from the shared tier when they are
 * asked for or when somebody says that a new one is there.
 *
 * Addresses come from anybody, so whatever is remembered of them is bounded: the pages by their bytes, the addresses of
 * pages and what was looked for in vain by their number and length. What is forgotten is only looked for again.
 */

import { followAnnouncements, type Announcement } from '../announcements.ts'
import { isForPage } from '../readers.ts'
import { PageRoutes } from '../routes.ts'
import { Visits } from '../visits.ts'
import { ExpandedPages } from './expanded-pages.ts'
import { HeldPage } from './held-page.ts'
import { RecentTimes } from './recent-times.ts'

import type { Checks } from '../../cache/checks.ts'
import type { BoundedEntryMemory } from '../../cache/entry-memory.ts'
import type { SharedEntries } from '../../cache/shared-entries.ts'
import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'
import type { PageManifest } from '../route-record.ts'

export interface BuildPagesOptions {
  readonly build: string
  readonly manifest: PageManifest
  readonly checks: Checks
  readonly memory: BoundedEntryMemory
  readonly shared: SharedEntries
  /** How much of bodies that were expanded is kept beside the memory. */
  readonly expandedBytes: number
  readonly store: Store
  /** The name of the session's cookie, without the prefix that it has over TLS. */
  readonly sessionCookie: string
  /** Headers of each answer, flat. */
  readonly more: readonly string[]
  readonly log: Logger
}

const maxTargets = 20_000
const longestTarget = 300
const maxLookedFor = 10_000
/** The tier is asked for a page that it did not have, or that was over, no sooner than so. */
const lookAgainMs = 500
/** The tier of pages is told that one is in use each time that it was used so often. */
const usesPerTell = 16

export class BuildPages {
  readonly manifest: PageManifest
  readonly #options: BuildPagesOptions
  readonly #routes: PageRoutes
  /** Whether any page is not for everybody. */
  readonly #divided: boolean
  readonly #byId = new Map<string, HeldPage>()
  readonly #byTarget = new Map<string, HeldPage>()
  readonly #expanded: ExpandedPages
  readonly #lookedFor = new RecentTimes(maxLookedFor)
  readonly #fetching = new Map<string, Promise<HeldPage | null>>()
  readonly #visits: Visits
  readonly #unfollow: () => Promise<void>

  constructor(options: BuildPagesOptions) {
    const { manifest, store, build, log } = options
    this.#options = options
    this.manifest = manifest
    this.#routes = new PageRoutes(manifest.routes)
    this.#visits = new Visits({ store, build, log })
    this.#expanded = new ExpandedPages(options.expandedBytes)
    this.#divided = manifest.routes.some(({ readers = 'everybody' }) => readers !== 'everybody')
    this.#unfollow = followAnnouncements({
      store,
      build,
      log,
      hear: (announcements) => this.#hear(announcements),
      // What came since may be there: it is looked for as if it never had been.
      missed: () => this.#lookedFor.clear(),
    })
  }

  /** The page of an address; its id where it is not here; null where the address is of no page. */
  find(target: string): HeldPage | string | null {
    const known = this.#byTarget.get(target)
    if (known !== undefined) return this.#use(known)
    const match = this.#routes.match(target)
    if (match === null) return null
    const held = this.#byId.get(match.id)
    if (held === undefined) return match.id
    this.#remember(target, held)
    return this.#use(held)
  }

  /** Whether whoever has these cookies is answered with the page of an address, and not by the app's own route. */
  isFor(target: string, cookie: string | undefined): boolean {
    if (!this.#divided) return true
    const match = this.#routes.match(target)
    const readers = match === null ? 'everybody' : (this.#routes.routes[match.route]!.readers ?? 'everybody')
    return isForPage(readers, { cookie }, this.#options.sessionCookie)
  }

  /** Whether the tier may have what was not there, or was over, when it was asked last. */
  mayFetch(id: string): boolean {
    return this.#fetching.has(id) || performance.now() - this.#lookedFor.at(id) >= lookAgainMs
  }

  /** From the tier; null where that has none that may be fresh for anybody. Never rejects. */
  fetch(id: string): Promise<HeldPage | null> {
    let running = this.#fetching.get(id)
    if (running === undefined) {
      this.#lookedFor.set(id, performance.now())
      running = this.#fetch(id)
        .catch(() => null)
        .finally(() => this.#fetching.delete(id))
      this.#fetching.set(id, running)
    }
    return running
  }

  async close(): Promise<void> {
    this.#byTarget.clear()
    this.#byId.clear()
    this.#visits.close()
    await this.#unfollow()
  }

  async #fetch(id: string): Promise<HeldPage | null> {
    const { shared, checks, memory, more } = this.#options
    const [found = null] = await shared.getMany([id])
    if (found === null || checks.staleness(found.head) !== null) return null
    const entry = found.open()
    if (entry === null) return null
    const held = memory.set(id, entry, 'own')
    const page = new HeldPage(id, held, more, this.#expanded.add)
    held.onLeave = () => this.#drop(page)
    this.#byId.set(id, page)
    // Larger than all there may be: it was let go of at once.
    return memory.get(id) === held ? page : this.#drop(page)
  }

  #drop(page: HeldPage): null {
    if (this.#byId.get(page.id) === page) this.#byId.delete(page.id)
    for (const target of page.targets) if (this.#byTarget.get(target) === page) this.#byTarget.delete(target)
    page.targets.clear()
    return null
  }

  #use(page: HeldPage): HeldPage {
    page.uses += 1
    this.#visits.add(page.id)
    if (page.uses % usesPerTell === 0) this.#options.memory.get(page.id)
    return page
  }

  #remember(target: string, page: HeldPage): void {
    if (target.length > longestTarget) return
    if (this.#byTarget.size >= maxTargets) {
      const [oldest, of] = this.#byTarget.entries().next().value!
      this.#byTarget.delete(oldest)
      of.targets.delete(oldest)
    }
    this.#byTarget.set(target, page)
    page.targets.add(target)
  }

  #hear(announcements: readonly Announcement[]): void {
    for (const { id } of announcements) {
      if (this.#byId.has(id) || this.#lookedFor.has(id)) void this.#fetchAnew(id)
    }
  }

  /** What runs already may have asked before there was anything. */
  async #fetchAnew(id: string): Promise<void> {
    await this.#fetching.get(id)
    await this.fetch(id)
  }
}
