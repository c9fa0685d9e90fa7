/**
 * The second tier as look-ups see it: entries put into envelopes, behind a breaker. What fails is not there.
 *
 * An entry that comes from it is checked first, and decoded only when somebody wants its value.
 */

import { silentLogger, type Logger } from '../core/log.ts'
import { guardTier, type TierBreakerOptions, type TierCounts } from '../store/tier-breaker.ts'
import { noTier, type CacheTier } from '../store/tier.ts'
import { noClasses, type ClassRegistry } from './classes.ts'
import { EnvelopeCodec, type Envelope } from './envelope.ts'

import type { Entry } from './entry.ts'
import type { SharedEntries } from './lookups.ts'
import type { EntryPart } from '../freshness/changes/recorder.ts'

export interface SharedEntriesOptions {
  /** It is closed with these. Default: none. */
  readonly tier?: CacheTier
  readonly classes?: ClassRegistry
  /** Values from so many bytes on are compressed. Default: 4,096. */
  readonly compressAbove?: number
  readonly breaker?: TierBreakerOptions
  readonly log?: Logger
}

export interface SharedCounts extends TierCounts {
  /** Found, and damaged, of another version or of unknown classes. */
  readonly unreadable: number
  /** Not stored, because they are larger than the tier takes. */
  readonly oversized: number
}

export interface TieredEntries extends SharedEntries {
  readonly driver: CacheTier['driver']
  counts(): SharedCounts
  close(): Promise<void>
}

/** For entries without a time to live: they are checked anyway, and a server's memory is not for ever. */
const longestTtlMs = 24 * 3_600_000

class SharedEntry implements Entry {
  readonly parts: readonly EntryPart[]
  readonly filledAtMs: number
  readonly expiresAtMs: number
  readonly loadMs: number
  private readonly envelope: Envelope
  private decoded: { readonly value: unknown } | null = null

  constructor(envelope: Envelope) {
    const { parts, filledAtMs, expiresAtMs, loadMs } = envelope.head
    this.parts = parts
    this.filledAtMs = filledAtMs
    this.expiresAtMs = expiresAtMs
    this.loadMs = loadMs
    this.envelope = envelope
  }

  /** Decoded when it is first asked for. */
  get value(): unknown {
    this.decoded ??= this.envelope.decode()
    if (this.decoded === null) throw new TypeError('a value with the right checksum cannot be decoded')
    return this.decoded.value
  }
}

/** Entries in a tier that all clones share. */
export function createSharedEntries(options: SharedEntriesOptions = {}): TieredEntries {
  const { tier = noTier, classes = noClasses, compressAbove, log = silentLogger } = options
  const codec = new EnvelopeCodec({ classes, ...(compressAbove !== undefined && { compressAbove }) })
  const guarded = guardTier(tier, { log, ...options.breaker })
  let unreadable = 0
  let oversized = 0
  const open = (bytes: Uint8Array | null, id: string): Entry | null => {
    if (bytes === null) return null
    const envelope = codec.open(bytes, id)
    if (envelope === null) unreadable += 1
    return envelope && new SharedEntry(envelope)
  }
  return {
    driver: tier.driver,
    present: tier.driver !== 'none',
    getMany: async (ids) => (await guarded.getMany(ids)).map((bytes, at) => open(bytes, ids[at]!)),
    set: async (id, { value, parts, filledAtMs, expiresAtMs, loadMs }) => {
      const ttlMs = Math.floor(Math.min(expiresAtMs - Date.now(), longestTtlMs))
      if (ttlMs <= 0) return
      const bytes = codec.encode({ id, parts, filledAtMs, expiresAtMs, loadMs }, value)
      if (bytes.length > guarded.maxValueBytes) oversized += 1
      await guarded.set(id, bytes, ttlMs)
    },
    counts: () => ({ ...guarded.counts(), unreadable, oversized }),
    close: () => guarded.close(),
  }
}
