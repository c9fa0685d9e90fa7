/**
 * Looks whether what a worker looks after is still in the tier that processes share: a tier may lose anything at any time,
 * keeps nothing for longer than a day, and tells nobody. What is lost is baked anew, what has lain there for long is put
 * there again.
 *
 * A few at a time, for ever, so that 100,000 are looked for within half an hour; faster where most are lost.
 */

import { longestTtlMs, type SharedEntries, type SharedEntry } from '../../cache/shared-entries.ts'

import type { Checks } from '../../cache/checks.ts'
import type { Logger } from '../../core/log.ts'
import type { Bakes } from './bakes.ts'
import type { Item } from './items.ts'
import type { Watch } from './watch.ts'

export interface PresenceOptions {
  readonly watch: Pick<Watch, 'items' | 'staleness'>
  readonly bakes: Pick<Bakes, 'touchAt' | 'queue'>
  readonly shared: Pick<SharedEntries, 'look'>
  readonly checks: Pick<Checks, 'staleness'>
  /** While half as many wait, nothing is looked for. */
  readonly backlog: number
  /** The same one no sooner than so. Default: 10,000. */
  readonly lookAgainMs?: number
  readonly log: Logger
}

/** At once, as long as most are there: their bytes are read. */
const usualCount = 16
/** What is not there costs little. */
const largestCount = 256
/** A look that takes longer was too large, or comes at a bad time. */
const longMs = 20
const longestAgainMs = 24 * 3_600_000
/** What was baked a moment ago may be on its way. */
const settleMs = 1_000
/** In so long no more are baked for having been lost than there are, and a few: a tier may have no room for all. */
const refillMs = 6 * 3_600_000
const spare = 100
/** Long before the tier ends it. */
const renewAfterMs = longestTtlMs / 2

export class Presence {
  readonly #options: PresenceOptions
  #at: number | null = 0
  #count = usualCount
  #looking: Promise<void> | null = null
  /** How many more are baked for having been lost. */
  #left = Infinity
  #leftAtMs: number = performance.now()
  #warned = false
  #stopped = false

  constructor(options: PresenceOptions) {
    this.#options = options
  }

  /** Looks for the next few, unless that is being done. */
  some(): void {
    const { bakes, backlog } = this.#options
    if (this.#stopped || bakes.queue.size * 2 >= backlog) return
    this.#looking ??= this.#lookForSome()
      .catch(() => undefined)
      .finally(() => {
        this.#looking = null
      })
  }

  /** Looks for all, and notes which of them are lost: for whoever asks for these. */
  async all(): Promise<void> {
    for (let from: number | null = 0; from !== null && !this.#stopped;) {
      const { items, next } = this.#options.watch.items.slice(from, largestCount)
      from = next
      const lost = new Set(await this.#lostOf(items.filter((item) => this.#isThere(item, performance.now()))))
      for (const item of items) {
        item.missing = lost.has(item)
        item.anew ||= item.missing
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#looking
  }

  async #lookForSome(): Promise<void> {
    const { watch, lookAgainMs = 10_000 } = this.#options
    const { items, next } = watch.items.slice(this.#at ?? 0, this.#count)
    this.#at = next
    const began = performance.now()
    const due = items.filter((item) => item.lookAtMs <= began && this.#isThere(item, began))
    if (due.length === 0) return
    const lost = await this.#lostOf(due)
    if (lost === null) return
    const nowMs = performance.now()
    const baked = this.#bake(lost, nowMs)
    const gone = new Set(lost)
    for (const item of due) {
      if (!gone.has(item)) item.lost = 0
      // What is too large for the tier is not baked for nothing again and again.
      item.lookAtMs = nowMs + Math.min(longestAgainMs, lookAgainMs * 2 ** item.lost)
    }
    const mostLost = baked * 2 > due.length
    const count = mostLost || nowMs - began < longMs ? this.#count * 2 : this.#count >> 1
    this.#count = Math.max(1, Math.min(mostLost ? largestCount : usualCount, count))
  }

  /** Has them baked, as far as that is affordable. Answers how many. */
  #bake(lost: readonly Item[], nowMs: number): number {
    const { watch, bakes, log } = this.#options
    const most = watch.items.size + spare
    this.#left = Math.min(most, this.#left + (most * (nowMs - this.#leftAtMs)) / refillMs)
    this.#leftAtMs = nowMs
    const baked = lost.slice(0, Math.floor(this.#left))
    this.#left -= baked.length
    for (const item of baked) {
      item.lost += 1
      bakes.touchAt(item, nowMs, true)
    }
    if (baked.length < lost.length && !this.#warned) {
      log.warn({ entries: most - spare }, 'the shared tier loses what is baked: it is too small for all of it')
    }
    this.#warned ||= baked.length < lost.length
    if (this.#left * 2 > most) this.#warned = false
    return baked.length
  }

  /** Whether it should be in the tier, as far as this worker knows. */
  #isThere(item: Item, nowMs: number): boolean {
    const { state, left, failures, parts, bakedAtMs } = item
    if (state !== 'idle' || left || failures > 0 || parts === null || nowMs - bakedAtMs < settleMs) return false
    return this.#options.watch.staleness(item) === null
  }

  /** Null where the tier does not say. */
  async #lostOf(items: readonly Item[]): Promise<Item[] | null> {
    const found = await this.#options.shared.look(items.map(({ id }) => id))
    if (found === null) return null
    const lost: Item[] = []
    for (const [at, item] of items.entries()) {
      // It has changed hands, or is being baked, since.
      if (item.gone || item.state !== 'idle') continue
      const entry = found[at] ?? null
      // One that is over, where this worker knows of a newer one: somebody who was slow put it there last.
      if (entry === null || this.#options.checks.staleness(entry.head) !== null) lost.push(item)
      else this.#renew(item, entry)
    }
    // What has changed in the meantime is baked for that.
    return lost.filter((item) => this.#options.watch.staleness(item) === null)
  }

  #renew(item: Item, { head, renew }: SharedEntry): void {
    const nowMs = Date.now()
    if (head.expiresAtMs - head.filledAtMs <= longestTtlMs) return
    if (nowMs - Math.max(head.filledAtMs, item.sharedAtMs) < renewAfterMs) return
    item.sharedAtMs = nowMs
    void renew().catch(() => undefined)
  }
}
