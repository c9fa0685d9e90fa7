/**
 * A process's view of one database's changes: reads what the tracker publishes, feeds the filter, and knows how far it
 * has come (FRESHNESS rules 6 to 8, 14 to 17).
 *
 * Invariants:
 * - The watermark moves in the same synchronous step in which the filter takes the changes up to it, and only rises
 *   within an epoch.
 * - A message whose `from` lies behind the watermark's reach means that something was lost: everything older than
 *   `from` counts as changed from then on. Messages that come twice, or from two trackers, are harmless.
 * - A process that joins begins with the oldest message that is kept: its `from` is the filter's floor, until a snapshot
 *   of another process is taken over that reaches up to it (decision 033).
 * - Nothing here can make an answer wrong by being late or dead: the watermark then stands still, and readers who need
 *   more go to the database.
 */

import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'

import { changeStream } from '../tracker/publisher.ts'
import { tableField, templateField, watchKey, watchTtlMs } from '../tracker/watch-list.ts'
import { Filter } from './filter.ts'
import { hashVersion, templateId, type TemplateId } from './hash.ts'
import { decodeMessage, type ChangeMessage, type CommitChanges, type Coverage } from './message.ts'
import { ReadSets } from './read-sets.ts'

import type { FilterSnapshot } from './snapshot.ts'
import type { Logger } from '../../core/log.ts'
import type { Epoch, Lsn, Position, VisiblePosition } from '../../engines/position.ts'
import type { Store } from '../../store/store.ts'

export interface FollowerOptions {
  /** The database's name in the app. */
  readonly database: string
  readonly store: Store
  /** Slots of the filter, a power of two. Default 2^20. */
  readonly filterSlots?: number
  readonly nowMs?: () => number
  readonly log: Logger
}

export interface FollowerCounts {
  messages: number
  commits: number
  /** Messages that did not follow on what was known: everything cached was forgotten. */
  gaps: number
  epochs: number
}

/** How far a process knows one database's changes. */
export interface StreamStatus extends FollowerCounts {
  readonly state: 'following' | 'nothing heard' | 'other version'
  readonly epoch: Epoch | null
  /** All changes up to here are known. */
  readonly watermark: Lsn
  /** All commits up to here can be seen by whoever reads the primary now. */
  readonly visible: Lsn
  /** A tracker says something at least once a second. Null: it never has. */
  readonly heardMsAgo: number | null
}

/** Told of what this process has just learned, in the same step: it must not throw, nor take long. */
export interface ChangeListener {
  /** What these commits changed is in the filter. */
  readonly commits: (commits: readonly CommitChanges[]) => void
  /** Something else than a change may have ended any entry: changes were missed, definitions changed, another epoch. */
  readonly forgotten: () => void
}

interface Waiter {
  readonly what: 'watermark' | 'visible'
  readonly lsn: Lsn
  readonly resolve: (reached: boolean) => void
  readonly timer: NodeJS.Timeout
}

const waitMs = 5_000
const retryMs = 100
const askAgainMs = 5_000
const maxKnownCoverages = 100

export class ChangeFollower {
  readonly counts: FollowerCounts = { messages: 0, commits: 0, gaps: 0, epochs: 0 }
  readonly #options: FollowerOptions
  #epoch: Epoch | null = null
  #watermark: Lsn = 0
  #visible: Lsn = 0
  #filter: Filter | null = null
  /** The end of the newest commit that changed what tables and columns there are. */
  #definitionsAt: Lsn = 0
  readonly #coverages = new Map<string, Coverage>()
  #mismatch: number | null = null
  #heardAtMs = -Infinity
  #waiters: Waiter[] = []
  /** What was asked for, and when: a store that lost it is asked again. */
  readonly #asked = new Map<string, number>()
  #wanted: string[] = []
  readonly #readSets = new ReadSets()
  /** One string for each template, however many entries carry it. */
  readonly #ids = new Map<string, TemplateId>()
  #asking: Promise<void> | null = null
  #startsAnew: () => void = () => undefined
  #loop: Promise<void> | null = null
  #stopped = false
  readonly #listeners = new Set<ChangeListener>()

  constructor(options: FollowerOptions) {
    this.#options = options
  }

  /** The epoch of the messages, or null while nothing is known. */
  get epoch(): Epoch | null {
    return this.#mismatch === null ? this.#epoch : null
  }

  /** All changes up to here are in the filter. */
  get watermark(): Lsn {
    return this.#watermark
  }

  /** Null while nothing is known. */
  get filter(): Filter | null {
    return this.#mismatch === null ? this.#filter : null
  }

  /** What every snapshot of the primary taken from now on shows at least. Null while nothing is known. */
  get visible(): VisiblePosition | null {
    const epoch = this.epoch
    return epoch === null ? null : ({ epoch, lsn: this.#visible } as VisiblePosition)
  }

  /** What was read of the catalogues before this position may be out of date. */
  get definitionsAt(): Lsn {
    return this.#definitionsAt
  }

  /** What this process knows of the changes, for people. */
  status(): StreamStatus {
    const heardMsAgo = Number.isFinite(this.#heardAtMs) ? this.silentMs() : null
    const state = this.#mismatch !== null ? 'other version' : this.#filter === null ? 'nothing heard' : 'following'
    const { watermark } = this
    return { state, epoch: this.epoch, watermark, visible: this.#visible, heardMsAgo, ...this.counts }
  }

  /** Tells of all that this process learns from now on; answers what ends it. */
  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** How long ago the last message came, in ms. */
  silentMs(): number {
    return this.#now() - this.#heardAtMs
  }

  start(): void {
    this.#loop ??= this.#follow()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    for (const waiter of this.#waiters.splice(0)) settle(waiter, false)
    // A read that waits ends with the store's client, or after its time.
    await Promise.race([this.#loop, pause(retryMs)])
    await this.#asking
  }

  /** Whether the watermark has reached a position. */
  reached({ epoch, lsn }: Position): boolean {
    return this.epoch === epoch && this.#watermark >= lsn
  }

  /** Waits for the watermark, or for the visible position, at most so long. */
  waitFor(position: Position, timeoutMs: number, what: 'watermark' | 'visible' = 'watermark'): Promise<boolean> {
    const { epoch, lsn } = position
    const reached = (): boolean => this.epoch === epoch && this.#at(what) >= lsn
    if (reached()) return Promise.resolve(true)
    if (this.epoch !== epoch || timeoutMs <= 0 || this.#stopped) return Promise.resolve(false)
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiters = this.#waiters.filter((waiting) => waiting !== waiter)
        resolve(reached())
      }, timeoutMs)
      const waiter: Waiter = { what, lsn, resolve, timer }
      this.#waiters.push(waiter)
    })
  }

  /**
   * The template by which to depend on rows of which these columns are read: one of all columns where there is no room
   * for another set of them. Null: then of the whole table.
   */
  templateFor(table: number, columns: readonly string[], reads: readonly string[] | null): TemplateId | null {
    if (reads !== null) {
      const template = templateId(table, columns, reads)
      const watched = (this.#filter?.templateSince(template) ?? null) !== null
      if (watched || this.#readSets.admits(table, template, this.#now())) return this.#same(template)
    }
    return columns.length === 0 ? null : this.#same(templateId(table, columns))
  }

  #same(template: TemplateId): TemplateId {
    const known = this.#ids.get(template)
    if (known === undefined) this.#ids.set(template, template)
    return known ?? template
  }

  /** Asks the tracker to watch tables and templates. Until it says that it does, nothing that depends on them is kept. */
  watch(tables: readonly number[], templates: readonly TemplateId[]): void {
    const nowMs = this.#now()
    const names = [...tables.map(tableField), ...templates.map(templateField)]
    const fresh = names.filter((name) => nowMs - (this.#asked.get(name) ?? -Infinity) > askAgainMs)
    if (fresh.length === 0 || this.#stopped) return
    for (const name of fresh) this.#asked.set(name, nowMs)
    this.#wanted.push(...fresh)
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null
    })
  }

  /** Calls whenever all that is known begins with the newest message: at first, in another epoch, behind a gap. */
  onStartAnew(listener: () => void): void {
    this.#startsAnew = listener
  }

  /** What is known now, for a process that starts. Null while nothing is known. */
  snapshot(): FilterSnapshot | null {
    const { epoch, filter } = this
    if (epoch === null || filter === null) return null
    return { ...filter.known(this.#watermark), epoch, pieces: filter.pieces() }
  }

  /**
   * Takes over what another process knows. First the slots, in pieces, since these may rise at any time; then, in one
   * synchronous step, how far back all of it is known. False: no further back than before.
   */
  async merge(snapshot: FilterSnapshot): Promise<boolean> {
    const { epoch, filter } = this
    if (filter === null || snapshot.epoch !== epoch || !filter.wouldGainFrom(snapshot)) return false
    for (const [place, positions] of snapshot.pieces.entries()) {
      if (positions === null) continue
      filter.raise(place, positions)
      await turn()
    }
    // The slots of any other filter did not rise. And what a message does not cover would end what is known of tables
    // that it came with: so not before the stream has come so far.
    return this.filter === filter && snapshot.watermark <= this.#watermark && filter.extend(snapshot)
  }

  /** Takes a message, or refuses it: false. Synchronous, so that nobody sees a watermark without its changes. */
  accept(message: ChangeMessage): boolean {
    this.#heardAtMs = this.#now()
    if (message.hashVersion !== hashVersion) return this.#refuse(message.hashVersion)
    this.#mismatch = null
    const { from, to, visible, commits } = message
    const known = this.#filter
    const { version = 0 } = known ?? {}
    if (message.epoch !== this.#epoch || this.#filter === null) this.#begin(message.epoch, from)
    const filter = this.#filter!
    if (from > this.#watermark) this.#skip(from)
    filter.cover(this.#coverageOf(message), from, to, this.#watermark)
    const forgotten = filter !== known || filter.version !== version || commits.some(({ everything }) => everything)
    for (const commit of commits) {
      filter.apply(commit)
      if (commit.everything) this.#definitionsAt = Math.max(this.#definitionsAt, commit.to)
    }
    this.#visible = Math.max(this.#visible, visible)
    this.counts.messages += 1
    this.counts.commits += commits.length
    this.#watermark = Math.max(this.#watermark, to)
    if (this.#waiters.length > 0) this.#settleReached()
    for (const listener of this.#listeners) {
      if (forgotten) listener.forgotten()
      if (commits.length > 0) listener.commits(commits)
    }
    return true
  }

  #begin(epoch: Epoch, from: Lsn): void {
    if (this.#epoch !== null) {
      this.counts.epochs += 1
      this.#options.log.warn({ was: this.#epoch, is: epoch }, 'changes of a new epoch: everything cached is forgotten')
    }
    this.#epoch = epoch
    this.#filter = new Filter(from, this.#options.filterSlots)
    this.#watermark = from
    // No commit below it is visible for certain: the tracker says so in the same message, where it is.
    this.#visible = 0
    this.#definitionsAt = from
    this.#asked.clear()
    for (const waiter of this.#waiters.splice(0)) settle(waiter, false)
    this.#startsAnew()
  }

  #skip(from: Lsn): void {
    this.counts.gaps += 1
    this.#options.log.warn(
      { database: this.#options.database, known: this.#watermark, next: from },
      'changes were missed: everything cached is forgotten',
    )
    this.#filter?.forget(from)
    this.#definitionsAt = Math.max(this.#definitionsAt, from)
    this.#watermark = from
    this.#startsAnew()
  }

  #refuse(version: number): false {
    if (this.#mismatch !== version) {
      this.#options.log.warn(
        { database: this.#options.database, expected: hashVersion, got: version },
        'the tracker is of another version: caches are off until it is replaced',
      )
    }
    this.#mismatch = version
    this.#filter = null
    this.#epoch = null
    return false
  }

  /** One tracker's names mean nothing with another: the same set may be watched from another position on. */
  #coverageOf({ tracker, coverage, coverageId }: ChangeMessage): Coverage | null {
    const name = `${tracker} ${coverageId}`
    if (coverage === null) return this.#coverages.get(name) ?? null
    this.#coverages.set(name, coverage)
    if (this.#coverages.size > maxKnownCoverages) this.#coverages.delete(this.#coverages.keys().next().value!)
    return coverage
  }

  #at(what: Waiter['what']): Lsn {
    return what === 'watermark' ? this.#watermark : this.#visible
  }

  #settleReached(): void {
    const waiting = this.#waiters
    this.#waiters = waiting.filter(({ what, lsn }) => lsn > this.#at(what))
    for (const waiter of waiting) if (waiter.lsn <= this.#at(waiter.what)) settle(waiter, true)
  }

  async #follow(): Promise<void> {
    const { store, database, log } = this.#options
    let after = 0
    while (!this.#stopped) {
      try {
        const page = await store.readStream(changeStream(database), after, { limit: 200, waitMs })
        if (this.#stopped) return
        for (const { number, value } of page.entries) {
          after = number
          this.#take(value)
        }
        // A store that lost its memory counts anew.
        if (page.entries.length === 0 && after > page.last) after = 0
      } catch (error) {
        if (this.#stopped) return
        log.debug({ error, database }, 'changes not read: trying again')
        await pause(retryMs)
      }
    }
  }

  #take(bytes: Uint8Array): void {
    const message = decodeMessage(bytes)
    if (message === null) this.#options.log.warn({ bytes: bytes.length }, 'not a message of a tracker')
    else if ('epoch' in message) this.accept(message)
    else this.#refuse(message.hashVersion)
  }

  async #ask(): Promise<void> {
    const { store, database, log } = this.#options
    while (this.#wanted.length > 0 && !this.#stopped) {
      const names = this.#wanted.splice(0)
      const set = Object.fromEntries(names.map((name) => [name, new Uint8Array()]))
      try {
        const record = watchKey(database)
        const done = (await store.update(record, { set, ttlMs: watchTtlMs })) === 'updated'
        if (!done && !(await store.create(record, set, { ttlMs: watchTtlMs }))) this.#wanted.push(...names)
      } catch (error) {
        log.debug({ error, database }, 'what to watch could not be said: trying again')
        this.#wanted.push(...names)
        await pause(retryMs)
      }
    }
  }

  #now(): number {
    return (this.#options.nowMs ?? (() => performance.now()))()
  }
}

function settle({ resolve, timer }: Waiter, reached: boolean): void {
  clearTimeout(timer)
  resolve(reached)
}
