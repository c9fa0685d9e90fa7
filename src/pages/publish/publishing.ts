/**
 * Publishing: what was baked is put at its places, and edges are told. Called by whoever bakes, when others can find the
 * page already; nobody waits for it.
 *
 * Invariants (the argument is in docs/decisions/036-publishing.md):
 * - One process at a time publishes a page: it holds the page's lease in the store.
 * - A bake is published only if the ledger knows no newer one, and is written down there before the first file is touched
 *   and again when it has arrived. Whoever finds then that another was begun has been paused past its lease: it publishes
 *   what is newest by then.
 * - What is undone is told by the ledger: {@link Publishing.repair}.
 */

import { randomBytes } from 'node:crypto'

import { withDeadline } from '../../core/deadline.ts'
import { pageKey, routeKey } from './edge/surrogate-keys.ts'
import { Ledger, type LedgerRecord } from './ledger.ts'
import { isServable, type PageAddress, type PublishedPage, type Publisher } from './publisher.ts'
import { isSameVersion, versionOf } from './version.ts'

import type { Logger } from '../../core/log.ts'
import type { EntryPart } from '../../freshness/changes/recorder.ts'
import type { Store } from '../../store/store.ts'
import type { PageDocument } from '../document.ts'
import type { Purger } from './edge/purger.ts'

/** A page as it was baked. */
export interface BakedPage {
  readonly document: PageDocument
  /** Of its entry. */
  readonly parts: readonly EntryPart[]
}

export interface PageName extends PageAddress {
  /** Of its entry. */
  readonly id: string
  /** The `path` that it belongs to. */
  readonly path: string
}

/** A cache in front, and the purges that it is sent. */
export interface PublishingEdge {
  readonly id: string
  readonly purger: Purger
}

export interface PublishingOptions {
  readonly store: Store
  /** Names the app's code. */
  readonly build: string
  readonly publishers: readonly Publisher[]
  readonly edges: readonly PublishingEdge[]
  /** The newest bake of an entry, from wherever bakes are kept; null where there is none. */
  readonly find: (id: string) => Promise<BakedPage | null>
  readonly log: Logger
  /** How many pages are published at the same time. Default: 4. */
  readonly atOnce?: number
  /** How long a page may take at all places together. Default: 20,000. */
  readonly deadlineMs?: number
  /** Default: 200. */
  readonly firstRetryMs?: number
}

export interface PublishingCounts {
  /** Pages that were put somewhere, or removed. */
  readonly published: number
  /** Bakes that came when a newer one was there. */
  readonly superseded: number
  /** Bakes that were at all their places already. */
  readonly unchanged: number
  readonly failed: number
  readonly waiting: number
}

export interface Publishing {
  /** Hands a bake on; null: it is looked for when its turn comes. Returns at once; failures are tried again. */
  publish(name: PageName, baked: BakedPage | null): void
  /**
   * Takes a page away that is no longer one: its address belongs to no `path`. Answers false where another process works
   * on it at this moment: then it is left to that one, or to the next start.
   */
  remove(address: PageAddress & { readonly path: string }): Promise<boolean>
  /**
   * Puts right what an earlier process left undone, and what somebody has changed in the places since: compares every
   * page with the ledger and with what lies there. Resolves when all of them were looked at.
   */
  repair(names: Iterable<PageName> | AsyncIterable<PageName>): Promise<void>
  /** Takes pages away that were published once and of which nobody knows any more. Answers how many. */
  removeOthers(isPage: (url: string) => boolean): Promise<number>
  /** Resolves when everything that was handed on has been published, or has failed at least once. */
  settled(): Promise<void>
  counts(): PublishingCounts
  close(): Promise<void>
}

interface Job {
  readonly name: PageName
  /** Null: it is looked for when its turn comes. */
  baked: BakedPage | null
  /** Looks at the places, and not at the ledger alone. */
  looks: boolean
  /** Something older may lie there, from a time when the lease was another's already. */
  doubtful: boolean
  failures: number
}

/** Documents of so many waiting pages are kept; others are looked for again. */
const maxKept = 500
const leaseMarginMs = 10_000
const maxRetryMs = 30_000
const busyRetryMs = 20
const maxUrls = 1_000_000

/** Starts nothing until something is published. */
export function createPublishing(options: PublishingOptions): Publishing {
  return new PagePublishing(options)
}

class PagePublishing implements Publishing {
  readonly #options: Required<PublishingOptions>
  readonly #ledger: Ledger
  readonly #holder = randomBytes(9).toString('base64url')
  /** By address: what waits for its turn. */
  readonly #waiting = new Map<string, Job>()
  readonly #running = new Set<string>()
  /** By address: what waits for its next attempt. */
  readonly #retries = new Map<string, { readonly timer: NodeJS.Timeout; readonly job: Job }>()
  readonly #purges = new Set<Promise<void>>()
  readonly #idle = new Set<() => void>()
  readonly #end = new AbortController()
  #counts = { published: 0, superseded: 0, unchanged: 0, failed: 0 }

  constructor(options: PublishingOptions) {
    this.#options = { atOnce: 4, deadlineMs: 20_000, firstRetryMs: 200, ...options }
    this.#ledger = new Ledger(options.store)
  }

  publish(name: PageName, baked: BakedPage | null): void {
    this.#add({ name, baked, looks: false, doubtful: false, failures: 0 })
  }

  async repair(names: Iterable<PageName> | AsyncIterable<PageName>): Promise<void> {
    for await (const name of names) {
      if (this.#end.signal.aborted) return
      this.#add({ name, baked: null, looks: true, doubtful: false, failures: 0 })
      // As many as are worked on, so that bakes that come meanwhile need not stand behind all of them.
      if (this.#waiting.size >= this.#options.atOnce) await this.#untilIdle(() => this.#waiting.size === 0)
    }
    await this.settled()
  }

  async remove({ url, path, looksAtQuery }: PageAddress & { readonly path: string }): Promise<boolean> {
    const { publishers, edges, deadlineMs } = this.#options
    return await this.#inTurn(url, async () => {
      const work = (signal: AbortSignal): Promise<unknown> =>
        Promise.all(publishers.map((publisher) => publisher.remove({ url, looksAtQuery }, signal)))
      await withDeadline(work, deadlineMs, `${url} to be removed`)
      for (const { purger } of edges) this.#keep(purger.purge(pageKey(url), routeKey(path)))
      await this.#ledger.delete(url)
    })
  }

  async removeOthers(isPage: (url: string) => boolean): Promise<number> {
    let removed = 0
    for await (const url of this.#ledger.urls(maxUrls)) {
      if (this.#end.signal.aborted || isPage(url)) continue
      if (await this.remove({ url, path: url, looksAtQuery: url.includes('?') })) removed += 1
    }
    return removed
  }

  settled(): Promise<void> {
    return this.#untilIdle(() => this.#waiting.size === 0 && this.#running.size === 0)
  }

  counts(): PublishingCounts {
    return { ...this.#counts, waiting: this.#waiting.size + this.#retries.size }
  }

  async close(): Promise<void> {
    if (this.#end.signal.aborted) return
    this.#end.abort()
    for (const { timer } of this.#retries.values()) clearTimeout(timer)
    this.#retries.clear()
    this.#waiting.clear()
    await this.#untilIdle(() => this.#running.size === 0)
    await Promise.all(this.#options.edges.map(({ purger }) => purger.close()))
    await Promise.all(this.#purges)
    await Promise.all(this.#options.publishers.map((publisher) => publisher.close()))
  }

  /** The newest of a page waits once. */
  #add(job: Job): void {
    if (this.#end.signal.aborted) return
    const { url } = job.name
    const before = this.#waiting.get(url) ?? this.#retries.get(url)?.job
    if (before !== undefined) {
      job.looks ||= before.looks
      job.doubtful ||= before.doubtful
    }
    const retry = this.#retries.get(url)
    if (retry !== undefined) clearTimeout(retry.timer)
    this.#retries.delete(url)
    if (this.#waiting.size >= maxKept) job.baked = null
    this.#waiting.set(url, job)
    this.#next()
  }

  #next(): void {
    for (const [url, job] of this.#waiting) {
      if (this.#running.size >= this.#options.atOnce) break
      if (this.#running.has(url)) continue
      this.#waiting.delete(url)
      this.#running.add(url)
      void this.#run(job).finally(() => {
        this.#running.delete(url)
        this.#next()
      })
    }
    for (const check of this.#idle) check()
  }

  async #run(job: Job): Promise<void> {
    try {
      await this.#publish(job)
    } catch (error) {
      if (this.#end.signal.aborted) return
      this.#counts.failed += 1
      job.failures += 1
      const log = job.failures === 1 ? 'warn' : 'debug'
      this.#options.log[log]({ error, page: job.name.url }, 'a page was not published: trying again')
      this.#retry(job, Math.min(maxRetryMs, this.#options.firstRetryMs * 2 ** (job.failures - 1)))
    }
  }

  #retry(job: Job, ms: number): void {
    const { url } = job.name
    // Whatever came meanwhile is newer, or looks for the newest.
    if (this.#end.signal.aborted) return
    const waits = this.#waiting.get(url)
    if (waits !== undefined) {
      waits.looks ||= job.looks
      waits.doubtful ||= job.doubtful
      return
    }
    // By the time that it is tried again there may be a newer one.
    job.baked = null
    const timer = setTimeout(() => {
      this.#retries.delete(url)
      this.#add(job)
    }, ms)
    this.#retries.set(url, { timer, job })
  }

  async #publish(job: Job): Promise<void> {
    const had = await this.#inTurn(job.name.url, () => this.#publishInTurn(job))
    // Whoever has the lease may be publishing an older one.
    if (!had) this.#retry(job, busyRetryMs)
  }

  /** Holds the page's lease while it works. False: another has it. */
  async #inTurn(url: string, work: () => Promise<void>): Promise<boolean> {
    const { store, deadlineMs } = this.#options
    const lease = await store.acquireLease(`pages:publish:${url}`, this.#holder, deadlineMs + leaseMarginMs)
    if (lease === null) return false
    try {
      await work()
      return true
    } finally {
      await store.releaseLease(lease).catch(() => undefined)
    }
  }

  async #publishInTurn(job: Job): Promise<void> {
    const { name } = job
    const record = await this.#ledger.read(name.url)
    let page = await this.#pageOf(job)
    if (page !== null && job.doubtful && !this.#ledger.accepts(record, page.version)) {
      page = await this.#pageOf({ ...job, baked: null })
    }
    if (page === null || !this.#ledger.accepts(record, page.version)) {
      if (job.doubtful) await this.#takeAway(name)
      this.#counts.superseded += 1
      return
    }
    const undone = await this.#undone(job, page, record)
    const { publishers, edges } = this.#options
    const places = publishers.filter(({ id }) => undone.has(id))
    const isWritten = undone.size === 0 && record !== null && isSameVersion(record.version, page.version)
    if (!isWritten && !(await this.#ledger.begin(name.url, record, page.version, [...undone]))) {
      throw new Error('another bake was begun meanwhile')
    }
    if (undone.size === 0) {
      this.#counts.unchanged += 1
      return
    }
    await this.#put(job, page, places)
    this.#counts.published += 1
    for (const edge of edges) if (undone.has(edge.id)) this.#keep(this.#purge(edge, name, page))
  }

  async #pageOf({ name, baked }: Job): Promise<PublishedPage | null> {
    const found = baked ?? (await this.#options.find(name.id))
    if (found === null) return null
    const { document, parts } = found
    const { url, looksAtQuery } = name
    return { url, looksAtQuery, document, version: versionOf(this.#options.build, parts, document.bakedAtMs) }
  }

  /** The places where the page is not, as far as is known. */
  async #undone(job: Job, page: PublishedPage, record: LedgerRecord | null): Promise<Set<string>> {
    const { publishers, edges, deadlineMs } = this.#options
    const tag = tagOf(page)
    const ids = [...publishers, ...edges].map(({ id }) => id)
    const undone = new Set(ids.filter((id) => job.doubtful || record?.tags.get(id) !== tag))
    if (!job.looks) return undone
    const work = async (signal: AbortSignal): Promise<void> => {
      for (const publisher of publishers) {
        if (!undone.has(publisher.id) && !(await publisher.holds(page, signal))) undone.add(publisher.id)
      }
    }
    await withDeadline(work, deadlineMs, `${page.url} to be looked for`)
    return undone
  }

  /** Waits for all of it to end, so that nothing of it comes later, when the lease is another's. */
  async #put(job: Job, page: PublishedPage, places: readonly Publisher[]): Promise<void> {
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(this.#options.deadlineMs)])
    const put = async (place: Publisher): Promise<void> =>
      isServable(page.document) ? await place.publish(page, signal) : await place.remove(page, signal)
    const results = await Promise.allSettled(places.map(put))
    const arrived = places.filter((_, at) => results[at]!.status === 'fulfilled').map(({ id }) => id)
    let isOurs = false
    try {
      isOurs = await this.#ledger.arrived(page.url, page.version, tagOf(page), arrived)
    } finally {
      // Else the lease ran out while this process was paused, and a newer file may lie under ours.
      job.doubtful = !isOurs
    }
    if (!isOurs) throw new Error('another bake was published meanwhile')
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** What lies there may be older than what was published, and nothing newer can be found: the app answers. */
  async #takeAway(name: PageName): Promise<void> {
    const { publishers, deadlineMs } = this.#options
    const ids = publishers.map(({ id }) => id)
    await this.#ledger.forget(name.url, ids)
    const work = (signal: AbortSignal): Promise<unknown> =>
      Promise.all(publishers.map((publisher) => publisher.remove(name, signal)))
    await withDeadline(work, deadlineMs, `${name.url} to be removed`)
  }

  async #purge({ id, purger }: PublishingEdge, { url, path }: PageName, page: PublishedPage): Promise<void> {
    await purger.purge(pageKey(url), routeKey(path))
    await this.#ledger.arrived(url, page.version, tagOf(page), [id])
  }

  /** In the background; what fails is undone in the ledger. */
  #keep(work: Promise<void>): void {
    const kept = work.catch((error: unknown) =>
      this.#options.log.debug({ error }, 'a purge was left for the next start'),
    )
    this.#purges.add(kept)
    void kept.finally(() => this.#purges.delete(kept))
  }

  #untilIdle(isIdle: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isIdle()) return
        this.#idle.delete(check)
        resolve()
      }
      this.#idle.add(check)
      check()
    })
  }
}

/** What is at a place: this content, or nothing because of it. */
function tagOf({ document }: PublishedPage): string {
  return document.status === 200 ? document.tag : `-${document.tag}`
}
