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
 * - What nobody bakes when it is over is taken away: {@link Publishing.drop}.
 */

import { randomBytes } from 'node:crypto'

import { Tasks, type Task } from './tasks.ts'
import { Ledger, nothing, type LedgerRecord } from './ledger.ts'
import { Places, type PublishingEdge, type Target } from './places.ts'
import { isSameVersion, versionOf } from './version.ts'

import type { Logger } from '../../core/log.ts'
import type { EntryPart } from '../../freshness/changes/recorder.ts'
import type { Store } from '../../store/store.ts'
import type { PageDocument } from '../document.ts'
import type { PageAddress, PublishedPage, Publisher } from './publisher.ts'

/** A page as it was baked. */
export interface BakedPage {
  readonly document: PageDocument
  /** Of its entry. */
  readonly parts: readonly EntryPart[]
}

export interface PageName extends PageAddress {
  /** Of its entry; empty where its address belongs to no `path` any more. */
  readonly id: string
  /** The `path` that it belongs to. */
  readonly path: string
}

/** What was published once. */
export interface PublishedOnce {
  readonly url: string
  /** It was to be taken away. */
  readonly gone: boolean
}

export interface PublishingOptions {
  readonly store: Store
  /** Names the app's code. */
  readonly build: string
  readonly publishers: readonly Publisher[]
  readonly edges: readonly PublishingEdge[]
  /** The newest bake of an entry, from wherever bakes are kept; null where there is none. */
  readonly find: (id: string) => Promise<BakedPage | null>
  /** Whether somebody bakes an entry again when it is over. */
  readonly isKept: (id: string) => Promise<boolean>
  /** Hears of an entry that somebody looks after and that is in no tier. */
  readonly missing: (id: string) => void
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
   * Takes a page away that nobody bakes any more, so that the app answers; unless somebody looks after it again. Returns at
   * once; failures are tried again.
   */
  drop(name: PageName): void
  /**
   * Puts right what an earlier process left undone, and what somebody has changed in the places since: compares every
   * page with the ledger and with what lies there. Resolves when all of them were looked at.
   */
  repair(names: Iterable<PageName> | AsyncIterable<PageName>): Promise<void>
  /** What may lie somewhere, or be undone: by this build or another, in no order. */
  published(): AsyncGenerator<PublishedOnce>
  /** Resolves when everything that was handed on has been published, or has failed at least once. */
  settled(): Promise<void>
  counts(): PublishingCounts
  close(): Promise<void>
}

const leaseMarginMs = 10_000
const maxRetryMs = 30_000
const busyRetryMs = 20
/** A page that no tier has is baked first, which may take long. */
const firstMissingMs = 1_000
const maxMissingMs = 300_000
const maxMissing = 10_000
const maxUrls = 1_000_000

/** Starts nothing until something is published. */
export function createPublishing(options: PublishingOptions): Publishing {
  return new PagePublishing(options)
}

class PagePublishing implements Publishing {
  readonly #options: Required<PublishingOptions>
  readonly #ledger: Ledger
  readonly #places: Places
  readonly #tasks: Tasks
  readonly #holder = randomBytes(9).toString('base64url')
  readonly #end = new AbortController()
  #counts = { published: 0, superseded: 0, unchanged: 0, failed: 0 }

  constructor(options: PublishingOptions) {
    this.#options = { atOnce: 4, deadlineMs: 20_000, firstRetryMs: 200, ...options }
    this.#ledger = new Ledger(options.store)
    this.#places = new Places({ ...this.#options, ledger: this.#ledger })
    this.#tasks = new Tasks({ atOnce: this.#options.atOnce, run: (task) => this.#run(task) })
  }

  publish(name: PageName, baked: BakedPage | null): void {
    this.#tasks.add({ name, baked, looks: false, drops: false, doubtful: false, failures: 0 })
  }

  drop(name: PageName): void {
    this.#tasks.add({ name, baked: null, looks: true, drops: true, doubtful: false, failures: 0 })
  }

  async repair(names: Iterable<PageName> | AsyncIterable<PageName>): Promise<void> {
    for await (const name of names) {
      if (this.#end.signal.aborted) return
      this.#tasks.add({ name, baked: null, looks: true, drops: false, doubtful: false, failures: 0 })
      await this.#tasks.room()
    }
    await this.settled()
  }

  async *published(): AsyncGenerator<PublishedOnce> {
    for await (const record of this.#ledger.records(maxUrls)) {
      if (this.#end.signal.aborted) return
      if (!this.#places.isEmpty(record)) yield { url: record.url, gone: record.gone }
    }
  }

  settled(): Promise<void> {
    return this.#tasks.settled()
  }

  counts(): PublishingCounts {
    return { ...this.#counts, waiting: this.#tasks.size }
  }

  async close(): Promise<void> {
    if (this.#end.signal.aborted) return
    this.#end.abort()
    await this.#tasks.close()
    await this.#places.close()
  }

  async #run(task: Task): Promise<void> {
    try {
      // Whoever has the lease may be publishing an older one.
      if (!(await this.#inTurn(task))) this.#tasks.retry(task, busyRetryMs)
    } catch (error) {
      if (this.#end.signal.aborted) return
      this.#counts.failed += 1
      task.failures += 1
      const log = task.failures === 1 ? 'warn' : 'debug'
      this.#options.log[log]({ error, page: task.name.url }, 'a page was not published: trying again')
      this.#tasks.retry(task, Math.min(maxRetryMs, this.#options.firstRetryMs * 2 ** (task.failures - 1)))
    }
  }

  /** Holds the page's lease while it works. False: another has it. */
  async #inTurn(task: Task): Promise<boolean> {
    const { store, deadlineMs } = this.#options
    const key = `pages:publish:${task.name.url}`
    const lease = await store.acquireLease(key, this.#holder, deadlineMs + leaseMarginMs)
    if (lease === null) return false
    try {
      await this.#publish(task)
      return true
    } finally {
      await store.releaseLease(lease).catch(() => undefined)
    }
  }

  async #publish(task: Task): Promise<void> {
    const { name } = task
    const record = await this.#ledger.read(name.url)
    const target = await this.#targetOf(task, record)
    if (target === null) return
    const { page, version } = target
    const undone = task.doubtful ? new Set(this.#places.ids) : await this.#places.undone(target, record, task.looks)
    const gone = page === null
    const isWritten = undone.size === 0 && record?.gone === gone && isSameVersion(record.version, version)
    if (!isWritten && !(await this.#ledger.begin(name.url, record, version, [...undone], gone))) {
      throw new Error('another bake was begun meanwhile')
    }
    if (undone.size === 0) {
      this.#counts.unchanged += 1
      return
    }
    await this.#put(task, target, undone)
    this.#counts.published += 1
    this.#places.purge(target, undone)
  }

  async #put(task: Task, target: Target, ids: ReadonlySet<string>): Promise<void> {
    const errors: unknown[] = []
    let isOurs = false
    try {
      isOurs = await this.#places.put(target, ids, this.#end.signal, (error) => errors.push(error))
    } finally {
      task.doubtful = !isOurs
    }
    if (!isOurs) throw new Error('another bake was published meanwhile')
    if (errors.length > 0) throw errors[0]
  }

  /** Null: there is nothing to be done, for now. */
  async #targetOf(task: Task, record: LedgerRecord | null): Promise<Target | null> {
    const { name } = task
    if (task.drops && !(await this.#isKept(name))) return await this.#nothingOf(name, record)
    let page = await this.#pageOf(name, task.baked)
    if (page !== null && task.doubtful && !this.#ledger.accepts(record, page.version)) {
      page = await this.#pageOf(name, null)
    }
    if (page !== null && this.#ledger.accepts(record, page.version)) {
      return { name, page, version: page.version, tag: tagOf(page) }
    }
    if (page === null && !(await this.#isKept(name))) return await this.#nothingOf(name, record)
    if (task.doubtful) await this.#places.takeAway(name)
    if (page === null) this.#miss(task)
    else this.#counts.superseded += 1
    return null
  }

  /** Nobody looks after it: what lies there would grow old. Null: nothing lies there. */
  async #nothingOf(name: PageName, record: LedgerRecord | null): Promise<Target | null> {
    // A bake that somebody is late with must not come back.
    const page = await this.#pageOf(name, null)
    if (page !== null && this.#ledger.accepts(record, page.version)) {
      return { name, page: null, version: page.version, tag: nothing }
    }
    if (record === null) return null
    return { name, page: null, version: { ...record.version, build: this.#options.build }, tag: nothing }
  }

  /** It is in no tier, and there is nothing to compare: it has to be baked. */
  #miss(task: Task): void {
    this.#options.missing(task.name.id)
    if (this.#tasks.retries >= maxMissing) return
    const ms = Math.min(maxMissingMs, firstMissingMs * 2 ** task.failures)
    task.failures += 1
    this.#tasks.retry(task, ms)
  }

  async #isKept({ id }: PageName): Promise<boolean> {
    return id !== '' && (await this.#options.isKept(id))
  }

  async #pageOf({ id, url, looksAtQuery }: PageName, baked: BakedPage | null): Promise<PublishedPage | null> {
    const found = baked ?? (id === '' ? null : await this.#options.find(id))
    if (found === null) return null
    const { document, parts } = found
    return { url, looksAtQuery, document, version: versionOf(this.#options.build, parts, document.bakedAtMs) }
  }
}

/** What is at a place: this content, or nothing because of it. */
function tagOf({ document }: PublishedPage): string {
  return document.status === 200 ? document.tag : nothing + document.tag
}
