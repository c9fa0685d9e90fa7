/**
 * What becomes of a loaded value: an entry in this process and, behind the answer, in the second tier; or a value that
 * cannot be kept at this moment.
 */

import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'

import type { Checks } from './checks.ts'
import type { Entry } from './entry.ts'
import type { Filled } from './fills.ts'
import type { EntryMemory } from './lookups.ts'
import type { Metrics } from './metrics.ts'
import type { Recording } from './recording.ts'
import type { SharedEntries } from './shared-entries.ts'
import type { KeptEntry, Source } from './source.ts'
import type { Logger } from '../core/log.ts'
import type { Lease, Store } from '../store/store.ts'

export interface KeeperOptions {
  readonly checks: Checks
  readonly memory: EntryMemory
  readonly shared: SharedEntries
  readonly metrics: Metrics
  readonly store: Store
  readonly onKept?: ((kept: KeptEntry) => Promise<void>) | undefined
  readonly log: Logger
}

/** What an entry is of, for whoever is told that it is kept. */
export type Told = Pick<KeptEntry, 'source' | 'key'>

/** What came of a load, and its bytes for the second tier. */
export interface Kept {
  readonly filled: Filled
  readonly bytes: Uint8Array | null
}

/** One answer of a load. */
export interface Loaded<K> {
  readonly source: Source<K>
  readonly id: string
  readonly value: unknown
  readonly recording: Recording
  readonly loadMs: number
  /** Of a batch: what tells its entries apart. */
  readonly keys?: ReadonlySet<string> | null
}

/** Their bytes are held meanwhile. */
const mostLater = 100
const firstLaterMs = 200
const lastLaterMs = 60_000

export class Keeper {
  /** What could not be kept when it was last loaded: nobody should wait for another's load of it. */
  readonly unkept: Unkept = new Unkept()
  readonly #options: KeeperOptions
  readonly #background = new Set<Promise<void>>()
  readonly #end = new AbortController()
  /** How many wait for the tier to be back. */
  #later = 0

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  /** @throws what {@link Recording.finish} throws, FF_CACHE_VALUE */
  keep<K>({ source, id, value, recording, loadMs, keys = null }: Loaded<K>): Kept {
    const { memory, checks, metrics, shared } = this.#options
    const share = keys && { own: keyText(source.prefix, id), keys }
    const recorded = recording.finish(source.name, source.ttlMs !== null, share)
    const nowMs = Date.now()
    if ('refused' in recorded) return this.#refuse(source, id, value, recorded.refused)
    const expiresAtMs = Math.min(recording.expiresAtMs, source.ttlMs === null ? Infinity : nowMs + source.ttlMs)
    const entry: Entry = { value, parts: recorded.parts, filledAtMs: nowMs, expiresAtMs, loadMs }
    const before = memory.get(id)
    if (before !== undefined && before.expiresAtMs > nowMs && isDeepStrictEqual(before.value, value)) {
      metrics.of(source.name).falseMisses += 1
    }
    const stale = checks.staleness(entry)
    if (stale !== null) {
      const direct = recording.plain && recorded.parts.every(({ replica }) => !replica)
      return this.#refuse(source, id, value, stale, direct)
    }
    this.unkept.delete(id)
    // Also where there is no second tier: what could not be kept in one is not kept today and refused tomorrow.
    const bytes = shared.encode(id, entry, source.name)
    const held = memory.set(id, entry, source.values)
    return { filled: { value: memory.handOut(held, source.values), entry: held }, bytes }
  }

  #refuse<K>(source: Source<K>, id: string, value: unknown, reason: string, direct = false): Kept {
    this.#options.metrics.refused(source.name, reason)
    this.unkept.add(id)
    const { memory } = this.#options
    const filled = { value: memory.protect(value, source.values, source.name), entry: null, direct }
    return { filled, bytes: null }
  }

  /** Behind the answer: nobody waits for the second tier. The lease goes when others can find the entry. */
  publish(id: string, entry: Entry | null, bytes: Uint8Array | null, lease: Lease | null, of?: Told): void {
    const { shared, store, log } = this.#options
    const shares = entry !== null && bytes !== null && shared.present
    const tell = entry !== null && of?.source.baked === true ? this.#options.onKept : undefined
    if (!shares && lease === null && tell === undefined) return
    const work = (async () => {
      if (shares && !(await shared.set(id, bytes, entry.expiresAtMs)) && tell !== undefined) {
        await this.#shareLater(id, entry, bytes)
      }
      // Whoever hears of it looks for it.
      await tell?.({ ...of!, id, entry: entry! })
      if (lease !== null) await store.releaseLease(lease)
    })().catch((error: unknown) => log.debug({ error, id }, 'an entry was not shared'))
    this.#background.add(work)
    void work.finally(() => this.#background.delete(work))
  }

  /**
   * What is baked is asked of the tier by processes that cannot load it, and nobody here loads it again as long as it is fresh:
   * so it has to get there when the tier is back.
   */
  async #shareLater(id: string, entry: Entry, bytes: Uint8Array): Promise<void> {
    const { memory, shared } = this.#options
    if (this.#later >= mostLater) return
    this.#later += 1
    try {
      for (let waitMs = firstLaterMs; waitMs <= lastLaterMs && !this.#end.signal.aborted; waitMs *= 2) {
        await pause(waitMs, undefined, { signal: this.#end.signal }).catch(() => undefined)
        // Another has taken its place, here at least.
        if (memory.get(id) !== entry || this.#end.signal.aborted) return
        if (await shared.set(id, bytes, entry.expiresAtMs)) return
      }
    } finally {
      this.#later -= 1
    }
  }

  /** Waits for what is being written to the second tier. */
  async settle(): Promise<void> {
    this.#end.abort()
    await Promise.all(this.#background)
  }
}

/** What tells the rows of a batch's entries apart; null where nothing does. */
export function keysOf<K>({ loadManyBy, prefix }: Source<K>, ids: readonly string[]): ReadonlySet<string> | null {
  if (loadManyBy === undefined || ids.length < 2) return null
  return new Set(ids.map((id) => keyText(prefix, id)))
}

/** Canonical keys are canonical texts of values with a letter in front. */
function keyText(prefix: string, id: string): string {
  return id.slice(prefix.length + 1)
}

const unkeptMs = 1_000
const maxUnkept = 10_000

/** Ids, each for a moment. */
export class Unkept {
  readonly #untilMs = new Map<string, number>()

  add(id: string): void {
    if (this.#untilMs.size >= maxUnkept) this.#untilMs.clear()
    this.#untilMs.set(id, performance.now() + unkeptMs)
  }

  has(id: string): boolean {
    const untilMs = this.#untilMs.get(id)
    if (untilMs === undefined) return false
    if (performance.now() < untilMs) return true
    this.#untilMs.delete(id)
    return false
  }

  delete(id: string): void {
    this.#untilMs.delete(id)
  }
}
