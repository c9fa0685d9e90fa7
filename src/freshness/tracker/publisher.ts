/**
 * Publishes what was received as a chain of messages: each begins where the one before ended, one append is under way at a
 * time, and one that fails is repeated until the store has it. Only then does it count as published.
 */

import { setTimeout as delay } from 'node:timers/promises'

import type { Logger } from '../../core/log.ts'
import type { Epoch, Lsn } from '../../engines/position.ts'
import type { Store } from '../../store/store.ts'
import { hashVersion } from '../changes/hash.ts'
import { encodeMessage, type ChangeMessage, type CommitChanges } from '../changes/message.ts'
import type { CoverageState } from './coverage-state.ts'

export interface PublisherOptions {
  readonly database: string
  readonly store: Pick<Store, 'appendToStream'>
  readonly epoch: Epoch
  readonly tracker: string
  readonly from: Lsn
  readonly coverage: CoverageState
  /** How far the stream has come, outside of transactions. */
  readonly position: () => Lsn
  readonly visible: () => Lsn
  readonly published: (to: Lsn) => void
  readonly log: Logger
}

const maxCommitsPerMessage = 1000
const maxNumbersPerMessage = 60_000
const maxEntries = 20_000
const dayMs = 86_400_000
const announceEveryMs = 1000
/** Many small messages cost the tracker, the store and every process more than the changes in them. */
const leastGapMs = 1
const longestRetryMs = 250

export function changeStream(database: string): string {
  return `changes:${database}`
}

export class Publisher {
  readonly #options: PublisherOptions
  #waiting: CommitChanges[] = []
  #published: Lsn
  #visible: Lsn = -1
  #announced: { readonly id: string; readonly at: number } | null = null
  #working = false
  #stopped = false
  #weight = 0

  constructor(options: PublisherOptions) {
    this.#options = options
    this.#published = options.from
  }

  get published(): Lsn {
    return this.#published
  }

  /** How many numbers wait: a measure of memory. */
  get weight(): number {
    return this.#weight
  }

  add(changes: CommitChanges): void {
    this.#waiting.push(changes)
    this.#weight += weigh(changes)
  }

  /** Publishes what there is, if nothing is under way already. */
  wake(): void {
    if (this.#working || this.#stopped) return
    this.#working = true
    void this.#work()
  }

  stop(): void {
    this.#stopped = true
  }

  async #work(): Promise<void> {
    for (;;) {
      const message = this.#next()
      if (message === null) {
        // Here and not behind the promise: whoever wakes it meanwhile would be forgotten.
        this.#working = false
        return
      }
      const began = performance.now()
      if (!(await this.#append(message))) return
      this.#published = message.to
      this.#visible = message.visible
      this.#options.published(message.to)
      if (performance.now() - began < leastGapMs) await delay(leastGapMs)
    }
  }

  /** Null where there is nothing to tell. */
  #next(): ChangeMessage | null {
    const { coverage, epoch, tracker, position, visible } = this.#options
    const commits = this.#take()
    const last = commits.at(-1)?.to ?? this.#published
    // With nothing left behind these commits, the message goes as far as the stream has come.
    const reach = this.#waiting.length === 0 ? position() : last
    const to = Math.max(this.#published, last, reach)
    const seen = Math.min(visible(), to)
    const { id, coverage: covered } = coverage.current()
    const now = performance.now()
    const announce = this.#announced?.id !== id || now - this.#announced.at >= announceEveryMs
    if (to === this.#published && seen <= this.#visible && !announce) return null
    if (announce) this.#announced = { id, at: now }
    const head = { hashVersion, epoch, tracker, from: this.#published, to, visible: seen }
    return { ...head, commits, coverageId: id, coverage: announce ? covered : null }
  }

  #take(): CommitChanges[] {
    let count = 0
    let weight = 0
    for (const changes of this.#waiting) {
      if (count === maxCommitsPerMessage) break
      if (count > 0 && weight + weigh(changes) > maxNumbersPerMessage) break
      weight += weigh(changes)
      count += 1
    }
    this.#weight -= weight
    return this.#waiting.splice(0, count)
  }

  /** Answers false when it was stopped before the store had it. */
  async #append(message: ChangeMessage): Promise<boolean> {
    const { store, database, log } = this.#options
    const bytes = encodeMessage(message)
    for (let attempt = 0; !this.#stopped; attempt += 1) {
      try {
        await store.appendToStream(changeStream(database), bytes, { maxEntries, ttlMs: dayMs })
        return true
      } catch (error) {
        if (attempt === 0) log.warn({ error }, 'the store did not take changes; trying until it does')
        await delay(Math.min(longestRetryMs, 2 ** attempt))
      }
    }
    return false
  }
}

function weigh({ tables, wide, hashes }: CommitChanges): number {
  return 4 + tables.length + wide.length + hashes.length
}
