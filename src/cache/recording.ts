/** What one load reads, of all databases; handed to its executors (FRESHNESS rule 26). */

import { FourfoldError } from '../core/errors.ts'
import { hashName } from '../freshness/changes/hash.ts'
import { PartRecorder, type BatchShare, type EntryPart } from '../freshness/changes/recorder.ts'

import type { Clusters } from './checks.ts'
import type { Entry } from './entry.ts'
import type { FillSink } from '../database/recorded-reads.ts'
import type { VisiblePosition } from '../engines/position.ts'

/** The parts of an entry, or why what was read cannot be kept at this moment. */
export type Recorded = { readonly parts: readonly EntryPart[] } | { readonly refused: string }

/** Long enough to be of use, short enough that nobody notices how much ends such an entry. */
const coarseMs = 2_000

export class Recording implements FillSink {
  readonly #clusters: Clusters
  readonly #batchColumn: string | null
  readonly #parts = new Map<string, PartRecorder>()
  /** What was visible before anything was read. */
  readonly #began: ReadonlyMap<string, VisiblePosition>
  /** A database without a change stream was read: nothing tells when that changes. */
  #blind = false
  #refused: string | null = null
  #uncacheable: string | null = null
  #volatile: string | null = null
  #unsteady: string | null = null
  #expiresAtMs = Infinity
  #nested = false

  /** @param batchColumn for a batch: the column that says which key a row belongs to */
  constructor(clusters: Clusters, batchColumn: string | null = null) {
    this.#clusters = clusters
    this.#batchColumn = batchColumn
    const began = new Map<string, VisiblePosition>()
    for (const [name, { changes }] of clusters) if (changes?.visible) began.set(name, changes.visible)
    this.#began = began
  }

  part(database: string): PartRecorder | null {
    const known = this.#parts.get(database)
    if (known !== undefined) return known
    const changes = this.#clusters.get(database)?.changes ?? null
    if (changes === null) {
      this.#blind = true
      return null
    }
    const part = new PartRecorder(database, changes, this.#batchColumn)
    this.#parts.set(database, part)
    return part
  }

  uncacheable(reason: string): void {
    this.#uncacheable ??= reason
  }

  volatile(reason: string): void {
    this.#volatile ??= reason
  }

  unsteady(reason: string): void {
    this.#unsteady ??= reason
  }

  /** An entry becomes part of this one. @param fresh whether it is, as far as this process knows, what the database holds now */
  nest(entry: Entry, fresh: boolean): void {
    this.#nested = true
    this.#expiresAtMs = Math.min(this.#expiresAtMs, entry.expiresAtMs)
    for (const part of entry.parts) {
      const watermark = fresh ? (this.#clusters.get(part.database)?.changes?.watermark ?? 0) : 0
      this.part(part.database)?.nest(part, watermark)
    }
  }

  /** Whether nothing of it came out of the cache. */
  get plain(): boolean {
    return !this.#nested
  }

  /** Whether nothing was read so far, of what is followed or not. */
  get empty(): boolean {
    const seen = this.#uncacheable ?? this.#volatile ?? this.#unsteady ?? this.#refused
    return (
      seen === null && !this.#blind && [...this.#parts.values()].every((part) => part.empty && part.refused === null)
    )
  }

  /** What became part of this one could not be kept, so this cannot either. */
  refuse(reason: string): void {
    this.#refused ??= reason
  }

  /**
   * A name that the app touches itself; touches are told in the stream of one database. Counts from the begin of the
   * load on, so it does not matter whether it is named before or after what stands behind it is read.
   */
  dependsOn(name: string, database: string | null): void {
    const visible = database === null ? undefined : this.#began.get(database)
    if (database === null || visible === undefined) return this.refuse('no change stream')
    const part = this.part(database)
    part?.validated(visible)
    part?.recordName(hashName(name))
  }

  /** When the first of its parts is over; soon, where any of it depends on more than it will as soon as it is watched. */
  get expiresAtMs(): number {
    const coarse = [...this.#parts.values()].some((part) => part.coarse)
    return coarse ? Math.min(this.#expiresAtMs, Date.now() + coarseMs) : this.#expiresAtMs
  }

  /**
   * @param what named in errors
   * @param share for one entry of a batch
   * @throws FF_CACHE_UNCACHEABLE, FF_CACHE_NO_DEPENDENCY
   */
  finish(what: string, hasTtl: boolean, share: BatchShare | null = null): Recorded {
    if (!hasTtl && (this.#uncacheable ?? this.#volatile) !== null)
      throw uncacheable(what, this.#uncacheable, this.#volatile)
    const parts: EntryPart[] = []
    let refused = this.#refused ?? (hasTtl ? null : this.#blind ? 'no change stream' : this.#unsteady)
    for (const recorder of this.#parts.values()) {
      const part = recorder.empty && recorder.refused === null ? null : recorder.finish(share)
      if (part === null) continue
      if ('refused' in part) refused ??= part.refused
      else parts.push(part)
    }
    if (refused !== null) return { refused }
    // Parts that end by the clock end this one as well.
    if (parts.length === 0 && !hasTtl && this.#expiresAtMs === Infinity) throw noDependency(what)
    return { parts }
  }
}

function uncacheable(what: string, reason: string | null, volatile: string | null): FourfoldError {
  const message =
    `${what} cannot be kept current: ${reason ?? volatile}. ` +
    'Read something else, give it a time to live (ttl), or read it without the cache'
  return new FourfoldError('FF_CACHE_UNCACHEABLE', message, { fields: { what } })
}

function noDependency(what: string): FourfoldError {
  const message =
    `${what} read nothing whose changes are followed, so its answer would be kept for ever: read through the ` +
    'databases that the load is given, name what it depends on (dependsOn), or give it a time to live (ttl)'
  return new FourfoldError('FF_CACHE_NO_DEPENDENCY', message, { fields: { what } })
}
