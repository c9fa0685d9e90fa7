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

import { Filter } from './filter.ts'
import { hashVersion, type TemplateId } from './hash.ts'
import { KnownCoverages } from './known-coverages.ts'
import { decodeMessage, type ChangeMessage, type CommitChanges } from './message.ts'
import { PositionWaiters, type Reach } from './position-waiters.ts'
import { readChanges } from './read-changes.ts'
import { WatchWishes } from './watch-wishes.ts'

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

const stopMs = 100

export class ChangeFollower {
  readonly counts: FollowerCounts = { messages: 0, commits: 0, gaps: 0, epochs: 0 }
  readonly #options: FollowerOptions
  #epoch: Epoch | null = null
  #watermark: Lsn = 0
  #visible: Lsn = 0
  #filter: Filter | null = null
  /** The end of the newest commit that changed what tables and columns there are. */
  #definitionsAt: Lsn = 0
  readonly #coverages = new KnownCoverages()
  #mismatch: number | null = null
  #heardAtMs = -Infinity
  readonly #waiters = new PositionWaiters((what) => this.#at(what))
  readonly #wishes: WatchWishes
  #startsAnew: () => void = () => undefined
  #loop: Promise<void> | null = null
  #stopped = false
  readonly #listeners = new Set<ChangeListener>()

  constructor(options: FollowerOptions) {
    this.#options = options
    this.#wishes = new WatchWishes({ ...options, nowMs: () => this.#now() })
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
    this.#loop ??= readChanges(
      this.#options,
      (bytes) => this.#take(bytes),
      () => this.#stopped,
    )
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#waiters.giveUp()
    const asked = this.#wishes.stop()
    // A read that waits ends with the store's client, or after its time.
    await Promise.race([this.#loop, pause(stopMs)])
    await asked
  }

  /** Whether the watermark has reached a position. */
  reached({ epoch, lsn }: Position): boolean {
    return this.epoch === epoch && this.#watermark >= lsn
  }

  /** Waits for the watermark, or for the visible position, at most so long. */
  waitFor(position: Position, timeoutMs: number, what: Reach = 'watermark'): Promise<boolean> {
    const { epoch, lsn } = position
    const reached = (): boolean => this.epoch === epoch && this.#at(what) >= lsn
    if (reached()) return Promise.resolve(true)
    if (this.epoch !== epoch || timeoutMs <= 0 || this.#stopped) return Promise.resolve(false)
    return this.#waiters.wait(what, lsn, timeoutMs, reached)
  }

  /**
   * The template by which to depend on rows of which these columns are read: one of all columns where there is no room
   * for another set of them. Null: then of the whole table.
   */
  templateFor(table: number, columns: readonly string[], reads: readonly string[] | null): TemplateId | null {
    const isWatched = (template: TemplateId): boolean => (this.#filter?.templateSince(template) ?? null) !== null
    return this.#wishes.templateFor(table, columns, reads, isWatched)
  }

  /** Asks the tracker to watch tables and templates. Until it says that it does, nothing that depends on them is kept. */
  watch(tables: readonly number[], templates: readonly TemplateId[]): void {
    this.#wishes.add(tables, templates)
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
    filter.cover(this.#coverages.of(message), from, to, this.#watermark)
    const forgotten = filter !== known || filter.version !== version || commits.some(({ everything }) => everything)
    for (const commit of commits) {
      filter.apply(commit)
      if (commit.everything) this.#definitionsAt = Math.max(this.#definitionsAt, commit.to)
    }
    this.#visible = Math.max(this.#visible, visible)
    this.counts.messages += 1
    this.counts.commits += commits.length
    this.#watermark = Math.max(this.#watermark, to)
    this.#waiters.settleReached()
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
    this.#wishes.forget()
    this.#waiters.giveUp()
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

  #at(what: Reach): Lsn {
    return what === 'watermark' ? this.#watermark : this.#visible
  }

  #take(bytes: Uint8Array): void {
    const message = decodeMessage(bytes)
    if (message === null) this.#options.log.warn({ bytes: bytes.length }, 'not a message of a tracker')
    else if ('epoch' in message) this.accept(message)
    else this.#refuse(message.hashVersion)
  }

  #now(): number {
    return (this.#options.nowMs ?? (() => performance.now()))()
  }
}
