/**
 * Keeps a tier that fails from costing every read a deadline. After a few failures in a row nothing is asked of it any
 * more: reads find nothing and writes are dropped, at once. A ping in the background, at growing intervals, finds out when
 * it is back. (The circuit breaker of Nygard, "Release It!".)
 *
 * It never rejects, but for the caller's own mistakes: what a tier does not know is a miss.
 */

import { isFourfoldError } from '../core/errors.ts'
import { silentLogger, type Logger } from '../core/log.ts'
import type { CacheTier } from './tier.ts'

export interface TierCounts {
  readonly hits: number
  readonly misses: number
  readonly stored: number
  /** Calls that were made and failed. */
  readonly failures: number
  /** Keys and values that were not asked for or stored because the tier is taken for dead. */
  readonly skipped: number
  /** How often it was taken for dead. */
  readonly trips: number
}

export interface GuardedTier extends CacheTier {
  /** Whether calls reach the tier now. */
  readonly isOpen: boolean
  counts(): TierCounts
}

export interface TierBreakerOptions {
  /** So many calls that fail in a row. Default: 3. */
  readonly failures?: number
  /** Between the first two pings; it doubles up to `longestPauseMs`. Default: 250. */
  readonly firstPauseMs?: number
  /** Default: 5,000. */
  readonly longestPauseMs?: number
  readonly log?: Logger
}

/** Puts a breaker before a tier. It closes the tier with itself. */
export function guardTier(tier: CacheTier, options: TierBreakerOptions = {}): GuardedTier {
  return new TierBreaker(tier, options)
}

class TierBreaker implements GuardedTier {
  readonly driver: CacheTier['driver']
  isOpen = true
  private readonly tier: CacheTier
  private readonly options: Required<TierBreakerOptions>
  private readonly count = { hits: 0, misses: 0, stored: 0, failures: 0, skipped: 0, trips: 0 }
  private inARow = 0
  private timer: NodeJS.Timeout | undefined
  private closed = false

  constructor(tier: CacheTier, options: TierBreakerOptions) {
    this.tier = tier
    this.driver = tier.driver
    this.options = { failures: 3, firstPauseMs: 250, longestPauseMs: 5000, log: silentLogger, ...options }
  }

  get maxValueBytes(): number {
    return this.tier.maxValueBytes
  }

  counts(): TierCounts {
    return { ...this.count }
  }

  async getMany(keys: readonly string[]): Promise<(Uint8Array | null)[]> {
    const found = await this.attempt(keys.length, () => this.tier.getMany(keys))
    const values = found ?? keys.map(() => null)
    if (found !== null) for (const value of values) this.count[value === null ? 'misses' : 'hits'] += 1
    return values
  }

  async set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    const done = await this.attempt(1, async () => (await this.tier.set(key, value, ttlMs), true))
    if (done !== null) this.count.stored += 1
  }

  async delete(key: string): Promise<void> {
    await this.attempt(1, () => this.tier.delete(key))
  }

  /** Past the breaker: rejects as the tier does. */
  ping(): Promise<void> {
    return this.tier.ping()
  }

  close(): Promise<void> {
    this.closed = true
    clearTimeout(this.timer)
    return this.tier.close()
  }

  /** Null where the tier does not answer, or is not asked. */
  private async attempt<T>(weight: number, work: () => Promise<T>): Promise<T | null> {
    if (!this.isOpen && !this.closed) {
      this.count.skipped += weight
      return null
    }
    try {
      const result = await work()
      this.inARow = 0
      return result
    } catch (error) {
      if (isFourfoldError(error, 'FF_STORE_ARGUMENT') || isFourfoldError(error, 'FF_CORE_CLOSED')) throw error
      this.count.failures += 1
      this.inARow += 1
      if (this.isOpen && this.inARow >= this.options.failures) this.trip(error)
      return null
    }
  }

  private trip(error: unknown): void {
    this.isOpen = false
    this.count.trips += 1
    this.options.log.warn({ tier: this.driver, error }, 'the second tier of the cache fails; reads do without it')
    this.probeAfter(this.options.firstPauseMs)
  }

  private probeAfter(pauseMs: number): void {
    if (this.closed) return
    this.timer = setTimeout(() => void this.probe(pauseMs), pauseMs)
    this.timer.unref()
  }

  private async probe(pauseMs: number): Promise<void> {
    try {
      await this.tier.ping()
    } catch {
      return this.probeAfter(Math.min(pauseMs * 2, this.options.longestPauseMs))
    }
    this.inARow = 0
    this.isOpen = true
    this.options.log.info({ tier: this.driver }, 'the second tier of the cache answers again')
  }
}
