/**
 * Looks whether what a worker looks after is still in the tier that processes share: a tier may lose anything at any time,
 * keeps nothing for longer than a day, and tells nobody. What is lost is baked anew, what has lain there for long is put
 * there again.
 *
 * A few at a time, for ever, so that 100,000 are looked for within half an hour; faster where most are lost.
 */

import { longestTtlMs, type SharedEntries, type SharedEntry } from '../../cache/shared-entries.ts'

import type { Checks } from '../../cache/checks.ts'
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
/** Long before the tier ends it. */
const renewAfterMs = longestTtlMs / 2

export class Presence {
  readonly #options: PresenceOptions
  #at: number | null = 0
  #count = usualCount
  #looking: Promise<void> | null = null
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
    const { watch, bakes, lookAgainMs = 10_000 } = this.#options
    const { items, next } = watch.items.slice(this.#at ?? 0, this.#count)
    this.#at = next
    const began = performance.now()
    const due = items.filter((item) => item.lookAtMs <= began && this.#isThere(item, began))
    if (due.length === 0) return
    const lost = await this.#lostOf(due)
    if (lost === null) return
    const nowMs = performance.now()
    for (const item of due) {
      // What is too large for the tier, or has no room there, is not baked for nothing again and again.
      item.lost = lost.includes(item) ? item.lost + 1 : 0
      item.lookAtMs = nowMs + Math.min(longestAgainMs, lookAgainMs * 2 ** item.lost)
    }
    for (const item of lost) bakes.touchAt(item, nowMs, true)
    const isFast = lost.length * 2 > due.length || nowMs - began < longMs
    const most = lost.length * 2 > due.length ? largestCount : usualCount
    this.#count = Math.max(1, Math.min(most, isFast ? this.#count * 2 : this.#count >> 1))
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
