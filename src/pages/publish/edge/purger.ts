/**
 * Purges at one edge: gathered for a moment, so many keys in a request, so many requests in a second, one at a time.
 *
 * - A key that is asked for while it waits waits once; one that is asked for while its request is under way goes again,
 *   because the edge may have fetched the page in between.
 * - A request that fails is made again, later and later, and what comes meanwhile waits behind it.
 * - What waits is bounded: beyond that, the keys of one path become that path's single key. More is dropped than needed
 *   then, and nothing forgotten.
 */

import type { Logger } from '../../../core/log.ts'

export interface PurgerOptions {
  /** Sends one request for these keys. */
  readonly send: (keys: readonly string[]) => Promise<void>
  readonly keysAtOnce: number
  readonly everyMs: number
  /** Requests a second, on average; as many may follow each other at once after a pause. */
  readonly perSecond: number
  /** The most keys that wait. */
  readonly backlog: number
  /** Each key is purged once more after so long; 0: not. */
  readonly againMs: number
  readonly firstRetryMs?: number
  readonly log: Logger
}

export interface PurgeCounts {
  /** Requests that were made, those that failed among them. */
  readonly requests: number
  readonly failed: number
  /** Keys that were acknowledged. */
  readonly keys: number
  /** How often keys of a path became one. */
  readonly collapsed: number
}

/** What is still to come of a purge. */
export interface Purged {
  /** The one after a while; null where there is none. Rejects when this is closed before. */
  readonly again: Promise<void> | null
}

interface Waiting {
  readonly group: string
  readonly done: PromiseWithResolvers<void>
}

const maxRetryMs = 15_000

export class Purger {
  readonly #options: PurgerOptions
  /** In the order in which they go. */
  #waiting = new Map<string, Waiting>()
  readonly #again = new Map<NodeJS.Timeout, PromiseWithResolvers<void>>()
  #counts = { requests: 0, failed: 0, keys: 0, collapsed: 0 }
  #tokens: number
  #filledAtMs = performance.now()
  #timer: NodeJS.Timeout | null = null
  #sending: Promise<void> | null = null
  #failures = 0
  #closed = false

  constructor(options: PurgerOptions) {
    this.#options = options
    this.#tokens = options.perSecond
  }

  counts(): PurgeCounts & { readonly waiting: number } {
    return { ...this.#counts, waiting: this.#waiting.size }
  }

  /**
   * Resolves when the edge has dropped it; rejects only when this is closed before.
   *
   * @param group the key that stands for this one and others of its kind
   */
  async purge(key: string, group: string): Promise<Purged> {
    await this.#add(key, group)
    if (this.#options.againMs === 0) return { again: null }
    const again = this.#later(this.#options.againMs).then(() => this.#add(key, group))
    again.catch(() => undefined)
    return { again }
  }

  /** Sends what waits, as far as the edge takes it within the time; the rest rejects. */
  async close(withinMs = 2_000): Promise<void> {
    if (this.#closed) return
    const deadline = performance.now() + withinMs
    while (this.#waiting.size > 0 && this.#failures === 0 && performance.now() < deadline) {
      const pending = [...this.#waiting.values()].map(({ done }) => done.promise)
      await Promise.race([Promise.all(pending), new Promise((resolve) => setTimeout(resolve, 20))])
    }
    this.#closed = true
    for (const [timer, { reject }] of this.#again) {
      clearTimeout(timer)
      reject(new Error('closed before the purge'))
    }
    this.#again.clear()
    if (this.#timer !== null) clearTimeout(this.#timer)
    // What is under way and fails waits again.
    await this.#sending
    for (const { done } of this.#waiting.values()) done.reject(new Error('closed before the purge'))
    this.#waiting.clear()
  }

  /** A process that ends has no reason to wait for it: whoever starts next is told by the ledger what is undone. */
  #later(ms: number): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('closed before the purge'))
    const due = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      this.#again.delete(timer)
      due.resolve()
    }, ms)
    timer.unref()
    this.#again.set(timer, due)
    return due.promise
  }

  #add(key: string, group: string): Promise<void> {
    if (this.#closed) return Promise.reject(new Error('closed before the purge'))
    const stands = this.#waiting.get(key) ?? this.#waiting.get(group)
    if (stands !== undefined) return stands.done.promise
    const done = Promise.withResolvers<void>()
    done.promise.catch(() => undefined)
    this.#waiting.set(key, { group, done })
    if (this.#waiting.size > this.#options.backlog) this.#collapse()
    this.#plan(this.#options.everyMs)
    return done.promise
  }

  /** All keys of the largest group become one. */
  #collapse(): void {
    const sizes = new Map<string, number>()
    for (const [key, { group }] of this.#waiting) {
      if (key !== group) sizes.set(group, (sizes.get(group) ?? 0) + 1)
    }
    const [largest] = [...sizes].toSorted(([, a], [, b]) => b - a)[0] ?? []
    if (largest === undefined) return
    const done = Promise.withResolvers<void>()
    done.promise.catch(() => undefined)
    for (const [key, waiting] of this.#waiting) {
      if (waiting.group !== largest) continue
      this.#waiting.delete(key)
      done.promise.then(waiting.done.resolve, waiting.done.reject)
    }
    this.#waiting.set(largest, { group: largest, done })
    this.#counts.collapsed += 1
    this.#options.log.warn({ backlog: this.#options.backlog }, 'many purges wait: those of one path became one')
  }

  #plan(ms: number): void {
    if (this.#timer !== null || this.#sending !== null || this.#closed) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#sending = this.#sendNext().finally(() => {
        this.#sending = null
        if (this.#waiting.size > 0) this.#plan(this.#nextMs())
      })
    }, ms)
  }

  async #sendNext(): Promise<void> {
    this.#refill()
    if (this.#tokens < 1) return
    const batch = [...this.#waiting].slice(0, this.#options.keysAtOnce)
    if (batch.length === 0) return
    this.#tokens -= 1
    this.#counts.requests += 1
    // From here on whoever asks for one of them asks for another request.
    for (const [key] of batch) this.#waiting.delete(key)
    try {
      await this.#options.send(batch.map(([key]) => key))
      this.#failures = 0
      this.#counts.keys += batch.length
      for (const [, { done }] of batch) done.resolve()
    } catch (error) {
      this.#failures += 1
      this.#counts.failed += 1
      this.#putBack(batch)
      if (this.#failures === 1) this.#options.log.warn({ error }, 'an edge did not purge: trying again')
    }
  }

  /** At the front; whoever asked for one of them meanwhile waits for the same. */
  #putBack(batch: readonly (readonly [string, Waiting])[]): void {
    const rest = this.#waiting
    this.#waiting = new Map(batch)
    for (const [key, waiting] of rest) {
      const stands = this.#waiting.get(key) ?? this.#waiting.get(waiting.group)
      if (stands === undefined) this.#waiting.set(key, waiting)
      else stands.done.promise.then(waiting.done.resolve, waiting.done.reject)
    }
    if (this.#waiting.size > this.#options.backlog) this.#collapse()
  }

  #refill(): void {
    const nowMs = performance.now()
    const { perSecond } = this.#options
    this.#tokens = Math.min(Math.max(1, perSecond), this.#tokens + ((nowMs - this.#filledAtMs) / 1000) * perSecond)
    this.#filledAtMs = nowMs
  }

  #nextMs(): number {
    const { everyMs, perSecond, firstRetryMs = 100 } = this.#options
    const retryMs = this.#failures === 0 ? 0 : Math.min(maxRetryMs, firstRetryMs * 2 ** (this.#failures - 1))
    const tokenMs = this.#tokens >= 1 ? 0 : ((1 - this.#tokens) / perSecond) * 1000
    const full = this.#waiting.size >= this.#options.keysAtOnce
    return Math.ceil(Math.max(retryMs, tokenMs, full ? 0 : everyMs))
  }
}
