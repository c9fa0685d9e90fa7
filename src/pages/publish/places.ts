/** The places of an app, and what the ledger says lies there: what is undone, and the doing of it. In the page's turn only. */

import { withDeadline } from '../../core/deadline.ts'
import { pageKey, routeKey } from './edge/surrogate-keys.ts'
import { nothing, type Ledger, type LedgerRecord } from './ledger.ts'
import { isServable, type PublishedPage, type Publisher } from './publisher.ts'

import type { Logger } from '../../core/log.ts'
import type { Purger } from './edge/purger.ts'
import type { PageName } from './publishing.ts'
import type { PageVersion } from './version.ts'

/** A cache in front, and the purges that it is sent. */
export interface PublishingEdge {
  readonly id: string
  readonly purger: Purger
}

/** What is to be at the places. */
export interface Target {
  readonly name: PageName
  readonly version: PageVersion
  readonly tag: string
  /** Null: nothing, as nobody looks after it. */
  readonly page: PublishedPage | null
}

export interface PlacesOptions {
  readonly publishers: readonly Publisher[]
  readonly edges: readonly PublishingEdge[]
  readonly ledger: Ledger
  /** How long a page may take at all places together. */
  readonly deadlineMs: number
  readonly log: Logger
}

/** Behind the tag of an edge that is still to be purged once more. */
const onceMore = '~'

export class Places {
  /** Of all of them. */
  readonly ids: readonly string[]
  readonly #options: PlacesOptions
  readonly #purges = new Set<Promise<void>>()

  constructor(options: PlacesOptions) {
    this.#options = options
    this.ids = [...options.publishers, ...options.edges].map(({ id }) => id)
  }

  /** Whether nothing lies anywhere, and nothing is left to be done. */
  isEmpty({ tags }: LedgerRecord): boolean {
    const isDone = (tag = ''): boolean => tag.startsWith(nothing) && !tag.endsWith(onceMore)
    return this.ids.every((id) => isDone(tags.get(id)))
  }

  /**
   * Those where it is not, as far as is known.
   *
   * @param looks also at the places themselves
   */
  async undone({ page, tag }: Target, record: LedgerRecord | null, looks: boolean): Promise<Set<string>> {
    const { publishers, deadlineMs } = this.#options
    const isDone = (id: string): boolean => {
      const held = record?.tags.get(id)
      // Whoever purged it the first time may live and do it again; who starts cannot tell.
      return held === tag || (!looks && held === tag + onceMore)
    }
    const undone = new Set(this.ids.filter((id) => !isDone(id)))
    if (!looks || page === null) return undone
    const work = async (signal: AbortSignal): Promise<void> => {
      for (const publisher of publishers) {
        if (!undone.has(publisher.id) && !(await publisher.holds(page, signal))) undone.add(publisher.id)
      }
    }
    await withDeadline(work, deadlineMs, `${page.url} to be looked for`)
    return undone
  }

  /**
   * Waits for all of it to end, so that nothing of it comes later, when the lease is another's. Answers whether the ledger
   * still names this version: else the lease ran out while this process was paused, and a newer file may lie under ours.
   *
   * @param failed told of what went wrong at a place
   */
  async put(
    target: Target,
    ids: ReadonlySet<string>,
    end: AbortSignal,
    failed: (why: unknown) => void,
  ): Promise<boolean> {
    const { publishers, ledger, deadlineMs } = this.#options
    const { name, version, tag, page } = target
    const signal = AbortSignal.any([end, AbortSignal.timeout(deadlineMs)])
    const places = publishers.filter(({ id }) => ids.has(id))
    const put = async (place: Publisher): Promise<void> =>
      page !== null && isServable(page.document) ? await place.publish(page, signal) : await place.remove(name, signal)
    const results = await Promise.allSettled(places.map(put))
    for (const result of results) if (result.status === 'rejected') failed(result.reason)
    const arrived = places.filter((_, at) => results[at]!.status === 'fulfilled').map(({ id }) => id)
    return await ledger.arrived(name.url, version, tag, arrived)
  }

  /** What lies there may be older than what was published, and nothing newer can be found: the app answers. */
  async takeAway(name: PageName): Promise<void> {
    const { publishers, ledger, deadlineMs } = this.#options
    const ids = publishers.map(({ id }) => id)
    await ledger.forget(name.url, ids)
    const work = (signal: AbortSignal): Promise<unknown> =>
      Promise.all(publishers.map((publisher) => publisher.remove(name, signal)))
    await withDeadline(work, deadlineMs, `${name.url} to be removed`)
  }

  /** In the background; what fails is undone in the ledger. */
  purge(target: Target, ids: ReadonlySet<string>): void {
    const { edges, log } = this.#options
    for (const edge of edges) {
      if (!ids.has(edge.id)) continue
      const purge = this.#purge(edge, target)
        .catch((error: unknown) => log.debug({ error }, 'a purge was left for the next start'))
        .finally(() => this.#purges.delete(purge))
      this.#purges.add(purge)
    }
  }

  async close(): Promise<void> {
    const { publishers, edges } = this.#options
    await Promise.all(edges.map(({ purger }) => purger.close()))
    await Promise.all(this.#purges)
    await Promise.all(publishers.map((publisher) => publisher.close()))
  }

  async #purge({ id, purger }: PublishingEdge, { name: { url, path }, version, tag }: Target): Promise<void> {
    const { ledger } = this.#options
    const { again } = await purger.purge(pageKey(url), routeKey(path))
    await ledger.arrived(url, version, again === null ? tag : tag + onceMore, [id])
    if (again === null) return
    await again
    await ledger.arrived(url, version, tag, [id])
  }
}
