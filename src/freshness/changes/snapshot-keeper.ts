/**
 * Hands what processes know of one database's changes on to those that start: takes over what another wrote, and
 * writes, now and then and in one process of the app, what this one knows (FRESHNESS rule 16, decision 033).
 *
 * Invariants:
 * - Nothing waits for this: without it a process knows what it has heard itself.
 * - Who writes has first taken over what was there, so that a process which knows little puts no end to what was known.
 */

import type { ChangeFollower } from './follower.ts'
import type { SnapshotHead } from './snapshot-codec.ts'
import { SnapshotShelf } from './snapshot-shelf.ts'
import type { FilterSnapshot } from './snapshot.ts'
import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'
import type { CacheTier } from '../../store/tier.ts'

export interface SnapshotKeeperOptions {
  /** The database's name in the app. */
  readonly database: string
  readonly follower: ChangeFollower
  /** Not closed here. */
  readonly tier: CacheTier
  readonly store: Pick<Store, 'acquireLease'>
  /** Names this process. */
  readonly holder: string
  /** A snapshot is written at most so often, by all processes together. Default: 30,000. */
  readonly everyMs?: number
  readonly log: Logger
}

export interface SnapshotCounts {
  written: number
  /** Snapshots that were taken over. */
  merged: number
}

const defaultEveryMs = 30_000
/** Of the first one, for who starts soon after. */
const firstMs = 2_000
/** When to look, after each other: one that reaches far enough may not have been written yet. */
const looksAfterMs: readonly number[] = [0, 100, 250, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 20_000, 20_000, 20_000]
/** How long the stream may take to come to where a snapshot was taken. */
const catchUpMs = 10_000
/** An old snapshot is as good as a new one, as long as the stream still has what came after it: it keeps 20,000. */
const maxMessages = 4_000
/** A tier forgets what is not asked for. */
const maxAgeMs = 300_000

interface Written {
  readonly id: string
  readonly extent: string
  readonly messages: number
  readonly atMs: number
}

export class SnapshotKeeper {
  readonly counts: SnapshotCounts = { written: 0, merged: 0 }
  readonly #options: SnapshotKeeperOptions
  readonly #shelf: SnapshotShelf
  readonly #everyMs: number
  /** How often it was looked since knowledge began anew. */
  #looks: number = looksAfterMs.length
  #lookAtMs = Infinity
  #writeAtMs: number
  #written: Written | null = null
  #loop: Promise<void> | null = null
  #wake: () => void = () => undefined
  #stopped = false
  readonly #stopping = Promise.withResolvers<false>()

  constructor(options: SnapshotKeeperOptions) {
    this.#options = options
    this.#shelf = new SnapshotShelf(options.tier, options.database)
    this.#everyMs = options.everyMs ?? defaultEveryMs
    this.#writeAtMs = performance.now() + Math.min(firstMs, this.#everyMs)
  }

  start(): void {
    const { follower, tier } = this.#options
    if (tier.driver === 'none' || this.#loop !== null) return
    follower.onStartAnew(() => this.#look())
    if (follower.filter !== null) this.#look()
    this.#loop = this.#work()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopping.resolve(false)
    this.#wake()
    await this.#loop
  }

  #look(): void {
    this.#looks = 0
    this.#lookAtMs = performance.now()
    this.#wake()
  }

  async #work(): Promise<void> {
    while (!this.#stopped) {
      try {
        if (performance.now() >= this.#lookAtMs) await this.#lookAgain()
        if (performance.now() >= this.#writeAtMs && !this.#stopped) await this.#write()
      } catch (error) {
        this.#options.log.debug({ error, database: this.#options.database }, 'no snapshot of the filter: trying again')
      }
      await this.#pause(Math.min(this.#lookAtMs, this.#writeAtMs) - performance.now())
    }
  }

  async #lookAgain(): Promise<void> {
    this.#looks += 1
    const waitMs = looksAfterMs[this.#looks]
    this.#lookAtMs = waitMs === undefined ? Infinity : performance.now() + waitMs
    const looks = this.#looks
    // What began anew meanwhile is looked for anew.
    if ((await this.#takeOver()) && this.#looks === looks) this.#lookAtMs = Infinity
  }

  /** Answers whether all that a snapshot knows is known now. */
  async #takeOver(): Promise<boolean> {
    const { follower, database, log } = this.#options
    const { epoch } = follower
    const head = epoch === null ? null : await this.#shelf.head(epoch)
    if (head === null || !(await this.#hasCaughtUp(head))) return false
    if (follower.filter?.wouldGainFrom(head)) {
      const began = performance.now()
      const pieces = await this.#shelf.pieces(head)
      // Another filter than before the waiting, or one with a gap since: it is compared again.
      if (pieces === null || !(await follower.merge({ ...head, pieces }))) return false
      this.counts.merged += 1
      const tookMs = Math.round(performance.now() - began)
      log.debug({ database, floor: follower.filter.floor, tookMs }, 'a snapshot of the filter was taken over')
    }
    return follower.filter?.goesBackAsFarAs(head) ?? false
  }

  #hasCaughtUp({ epoch, watermark }: SnapshotHead): Promise<boolean> {
    const reached = this.#options.follower.waitFor({ epoch, lsn: watermark }, catchUpMs)
    return Promise.race([reached, this.#stopping.promise])
  }

  async #write(): Promise<void> {
    const { follower, store, database, holder } = this.#options
    this.#writeAtMs = performance.now() + this.#everyMs
    if (follower.filter === null) return
    const lease = await store.acquireLease(`filter-snapshot:${database}`, holder, this.#everyMs)
    if (lease === null || (await this.#isThere())) return
    await this.#takeOver()
    const snapshot = follower.snapshot()
    if (snapshot === null || this.#stopped) return
    const extent = extentOf(snapshot)
    const { messages } = follower.counts
    const id = await this.#shelf.put(snapshot)
    if (id === null) return
    this.#written = { id, extent, messages, atMs: performance.now() }
    this.counts.written += 1
  }

  /** Whether the last snapshot is still there, and one of now would be hardly better. */
  async #isThere(): Promise<boolean> {
    const { follower } = this.#options
    const snapshot = follower.snapshot()
    if (this.#written === null || snapshot === null) return false
    const { id, extent, messages, atMs } = this.#written
    if (performance.now() - atMs > maxAgeMs || follower.counts.messages - messages > maxMessages) return false
    return extent === extentOf(snapshot) && (await this.#shelf.head(snapshot.epoch))?.id === id
  }

  async #pause(ms: number): Promise<void> {
    if (this.#stopped || ms <= 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      timer.unref()
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** From where on what is known: what a newer snapshot has that no stream can make up for. */
function extentOf({ epoch, floor, tables, templates }: FilterSnapshot): string {
  return JSON.stringify([epoch, floor, [...tables].map(([oid, { since }]) => [oid, since]), [...templates]])
}
