/**
 * The second tier as look-ups see it: entries in envelopes, behind a breaker. What fails is not there.
 *
 * What comes from it is checked by its head, and made into a value only when it is fresh.
 */

import { silentLogger, type Logger } from '../core/log.ts'
import { guardTier, type GuardedTier, type TierBreakerOptions, type TierCounts } from '../store/tier-breaker.ts'
import { noTier, type CacheTier } from '../store/tier.ts'
import { createClassRegistry, type CacheableClass, type ClassRegistry } from './classes.ts'
import { EnvelopeCodec, type Envelope, type EnvelopeHead } from './envelope.ts'

import type { Entry } from './entry.ts'

export interface SharedEntriesOptions {
  /** It is closed with these. Default: none. */
  readonly tier?: CacheTier
  readonly classes?: ClassRegistry
  /** Values from so many bytes on are compressed. Default: 4,096. */
  readonly compressAbove?: number
  readonly breaker?: TierBreakerOptions
  readonly log?: Logger
}

/** An entry that was found, not yet made into a value. */
export interface SharedEntry {
  readonly head: EnvelopeHead
  /** Null where its value cannot be made of what was found. */
  open(): Entry | null
  /** Puts it there once more, as it is, for as long as if it were new. */
  renew(): Promise<void>
}

export interface SharedCounts extends TierCounts {
  /** Found, and damaged, of another version or of unknown classes. */
  readonly unreadable: number
  /** Not stored, because they are larger than the tier takes. */
  readonly oversized: number
}

/** For entries without a time to live: they are checked anyway, and a server's memory is not for ever. */
export const longestTtlMs: number = 24 * 3_600_000

export class SharedEntries {
  /** Whether there is a tier at all. */
  readonly present: boolean
  readonly driver: CacheTier['driver']
  private readonly tier: GuardedTier
  private readonly classes: ClassRegistry
  private readonly codec: EnvelopeCodec
  private unreadable = 0
  private oversized = 0

  constructor(options: SharedEntriesOptions = {}) {
    const { tier = noTier, classes = createClassRegistry(), compressAbove, log = silentLogger } = options
    this.present = tier.driver !== 'none'
    this.driver = tier.driver
    this.tier = guardTier(tier, { log, ...options.breaker })
    this.classes = classes
    this.codec = new EnvelopeCodec({ classes, ...(compressAbove !== undefined && { compressAbove }) })
  }

  /** Lets instances of a class be cached, here and wherever else the same registry is. */
  register(name: string, type: CacheableClass): void {
    this.classes.register(name, type)
  }

  /** Never rejects for what the tier does. */
  async getMany(ids: readonly string[]): Promise<(SharedEntry | null)[]> {
    const found = await this.tier.getMany(ids)
    return found.map((bytes, at) => {
      const envelope = bytes && this.codec.open(bytes, ids[at]!)
      if (bytes !== null && envelope === null) this.unreadable += 1
      if (envelope === null || bytes === null) return null
      const { head } = envelope
      return {
        head,
        open: () => openEntry(envelope),
        renew: async () => void (await this.set(ids[at]!, bytes, head.expiresAtMs)),
      }
    })
  }

  /** The same; null where the tier did not answer, so that nobody knows what it has. */
  async look(ids: readonly string[]): Promise<(SharedEntry | null)[] | null> {
    const before = this.tier.counts()
    const found = await this.getMany(ids)
    const after = this.tier.counts()
    return after.failures === before.failures && after.skipped === before.skipped ? found : null
  }

  /**
   * An entry as it goes to the tier.
   *
   * @param name where the path of what cannot be cached begins
   * @throws FF_CACHE_VALUE
   */
  encode(id: string, { value, parts, filledAtMs, expiresAtMs, loadMs }: Entry, name?: string): Uint8Array {
    return this.codec.encode({ id, parts, filledAtMs, expiresAtMs, loadMs }, value, name)
  }

  /** Never rejects for what the tier does. What is over, or too large, is not stored. False: the tier did not answer. */
  async set(id: string, bytes: Uint8Array, expiresAtMs: number): Promise<boolean> {
    const ttlMs = Math.floor(Math.min(expiresAtMs - Date.now(), longestTtlMs))
    if (ttlMs <= 0) return true
    if (bytes.length > this.tier.maxValueBytes) this.oversized += 1
    const before = this.tier.counts()
    await this.tier.set(id, bytes, ttlMs)
    const after = this.tier.counts()
    return after.failures === before.failures && after.skipped === before.skipped
  }

  counts(): SharedCounts {
    return { ...this.tier.counts(), unreadable: this.unreadable, oversized: this.oversized }
  }

  close(): Promise<void> {
    return this.tier.close()
  }
}

function openEntry({ head, decode }: Envelope): Entry | null {
  const decoded = decode()
  if (decoded === null) return null
  const { parts, filledAtMs, expiresAtMs, loadMs } = head
  return { value: decoded.value, parts, filledAtMs, expiresAtMs, loadMs }
}
