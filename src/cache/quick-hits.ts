/**
 * The shortest way to a hit: entries by their raw keys, and, for one reader, until when nothing has to be asked.
 *
 * Most of what a look-up costs is finding out again what has not changed since the last one: the text of the key, the
 * reader's token, how old this process's knowledge is, whether the entry's rows have changed. Each of these is kept here
 * together with what tells that it may be different now: the tier's own removal of an entry, the scope's version, a time
 * on the monotonic clock, and the filter with its version. Anything out of the ordinary goes the long way.
 */

import type { Checks, Clusters } from './checks.ts'
import type { Entry } from './entry.ts'
import type { HotEntry } from './refresher.ts'
import type { Cluster } from '../database/cluster.ts'
import type { ChangeFollower } from '../freshness/changes/follower.ts'
import type { Filter } from '../freshness/changes/filter.ts'
import type { Scope } from '../freshness/scope.ts'

export class QuickEntry {
  readonly entry: Entry
  readonly cluster: Cluster
  readonly changes: ChangeFollower
  filter: Filter | null = null
  version = 0
  uses = 0
  /** Made when it is first told to be in use. */
  hot: HotEntry | null = null
  #answer: Promise<unknown> | null = null

  constructor(entry: Entry, cluster: Cluster, changes: ChangeFollower) {
    this.entry = entry
    this.cluster = cluster
    this.changes = changes
  }

  /** A promise of the value, the same for everybody. */
  get answer(): Promise<unknown> {
    return (this.#answer ??= Promise.resolve(this.entry.value))
  }

  /** Counts a hit; true now and then, when the tier should be told that the entry is in use. */
  use(): boolean {
    this.uses += 1
    return this.uses % usesPerTell === 0
  }
}

/** Of one object, by raw key. */
export type QuickEntries = Map<unknown, QuickEntry>

const usesPerTell = 16

/** Remembers an entry of the in-process tier, if it is of the ordinary kind. */
export function rememberQuick(entries: QuickEntries, key: unknown, entry: Entry, clusters: Clusters): void {
  const [part] = entry.parts
  // What ends by the clock is asked for the long way, as are strict readers.
  if (part === undefined || entry.parts.length > 1 || entry.expiresAtMs !== Infinity) return
  const cluster = clusters.get(part.database)
  if (typeof key === 'object' || cluster === undefined || cluster.changes === null) return
  const quick = new QuickEntry(entry, cluster, cluster.changes)
  entries.set(key, quick)
  entry.onLeave = () => {
    if (entries.get(key) === quick) entries.delete(key)
  }
}

/** What one scope knows of its own needs. */
export class QuickScope {
  readonly #scope: Scope
  readonly #checks: Checks
  #cluster: Cluster | null = null
  #filter: Filter | null = null
  #version = -1
  #untilMs = 0

  constructor(scope: Scope, checks: Checks) {
    this.#scope = scope
    this.#checks = checks
  }

  isFresh(quick: QuickEntry, nowMs: number): boolean {
    const { filter } = quick.changes
    if (filter === null || !this.#knows(quick.cluster, filter, nowMs)) return false
    if (quick.filter !== filter || quick.version !== filter.version) {
      if (this.#checks.staleness(quick.entry) !== null) return false
      quick.filter = filter
      quick.version = filter.version
    }
    return true
  }

  #knows(cluster: Cluster, filter: Filter, nowMs: number): boolean {
    const known = this.#cluster === cluster && this.#filter === filter && this.#version === this.#scope.version
    if (known && nowMs < this.#untilMs) return true
    const version = this.#scope.version
    this.#untilMs = cluster.freshUntilMs(this.#scope)
    this.#cluster = cluster
    this.#filter = filter
    this.#version = version
    return nowMs < this.#untilMs
  }
}
