/**
 * Loads hot entries again before somebody has to wait for it.
 *
 * What changed: entries that are often used are looked at every few milliseconds while they are; one that is over is
 * loaded by this process or taken from one that did. What ends by the clock: each hit has a chance of loading it early
 * that rises as the end comes near and with what the load costs (XFetch: Vattani and others, VLDB 2015).
 *
 * None of it is needed for a right answer: whoever reads meanwhile is served, or loads, as always.
 */

import type { Logger } from '../core/log.ts'

/** One entry that is in use. */
export interface HotEntry {
  /** Whether it is over, as far as this process knows. */
  isStale(): boolean
  /** Loads it again, unless somebody does. */
  refresh(): Promise<unknown>
}

const lookEveryMs = 20
/** What has not been used for so long is no longer hot. */
const coolAfterMs = 2_000
/** Each look costs a check of all of them: they are the few for which many would wait. */
const maxHot = 200
const maxAtOnce = 4

export class Refresher {
  readonly #log: Logger
  readonly #messages: () => number
  readonly #usedAtMs = new Map<HotEntry, number>()
  readonly #running = new Set<HotEntry>()
  #timer: NodeJS.Timeout | null = null
  #closed = false
  #lookedAtMs = -Infinity
  #lookedAt = -1
  /** Something that is over was left for the next look. */
  #behind = false
  /** How many entries were loaded ahead. */
  refreshed = 0

  /** @param messages how many messages of changes have come: with none since the last look, nothing is over that was not */
  constructor(log: Logger, messages: () => number) {
    this.#log = log
    this.#messages = messages
  }

  /** Told of an entry that was used several times. */
  use(entry: HotEntry): void {
    if (this.#closed) return
    // Behind all others: the first is the one that was told of least lately.
    this.#usedAtMs.delete(entry)
    if (this.#usedAtMs.size >= maxHot) this.#usedAtMs.delete(this.#usedAtMs.keys().next().value!)
    this.#usedAtMs.set(entry, performance.now())
    this.#timer ??= setTimeout(() => this.#look(), lookEveryMs).unref()
  }

  close(): void {
    this.#closed = true
    this.#usedAtMs.clear()
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #look(): void {
    this.#timer = null
    const nowMs = performance.now()
    const messages = this.#messages()
    if (this.#behind || messages !== this.#lookedAt || nowMs - this.#lookedAtMs > coolAfterMs) {
      this.#lookedAt = messages
      this.#lookedAtMs = nowMs
      this.#lookAtAll(nowMs - coolAfterMs)
    }
    if (this.#usedAtMs.size > 0 && !this.#closed) this.#timer = setTimeout(() => this.#look(), lookEveryMs).unref()
  }

  #lookAtAll(oldestMs: number): void {
    this.#behind = false
    for (const [entry, usedAtMs] of this.#usedAtMs) {
      if (usedAtMs < oldestMs) this.#usedAtMs.delete(entry)
      else if (this.#running.size === maxAtOnce) this.#behind = true
      else if (!this.#running.has(entry) && entry.isStale()) this.#refresh(entry)
    }
  }

  #refresh(entry: HotEntry): void {
    // The next one takes its place as soon as it is used.
    this.#usedAtMs.delete(entry)
    this.#running.add(entry)
    this.refreshed += 1
    entry
      .refresh()
      .catch((error: unknown) => this.#log.debug({ error }, 'a hot entry was not loaded ahead'))
      .finally(() => this.#running.delete(entry))
  }
}

/** Whether a hit should load an entry early that ends by the clock. */
export function isTimeToRenew(loadMs: number, expiresAtMs: number, nowMs: number, random: number): boolean {
  return nowMs - loadMs * Math.log(random) >= expiresAtMs
}
