/**
 * Whether an entry may be handed to a reader (FRESHNESS rule 20). The one place where that is decided: for hits in
 * either tier, for those who join a running fill, and for entries that become part of others.
 *
 * An entry is fresh for a scope when this process knows all changes up to what the scope needs, the entry is of the
 * same epoch, and nothing that it depends on has changed after its `asOf` as far as this process knows.
 */

import type { Dated, MissReason, Verdict } from './entry.ts'
import type { Cluster } from '../database/cluster.ts'
import type { ChangeFollower } from '../freshness/changes/follower.ts'
import type { Filter } from '../freshness/changes/filter.ts'
import type { EntryPart } from '../freshness/changes/recorder.ts'
import type { Scope } from '../freshness/scope.ts'

export type Clusters = ReadonlyMap<string, Cluster>

export class Checks {
  readonly #clusters: Clusters

  constructor(clusters: Clusters) {
    this.#clusters = clusters
  }

  /** At once; null where the scope's needs are not known without asking. */
  now(entry: Dated, scope: Scope): Verdict | null {
    for (const part of entry.parts) {
      const cluster = this.#clusters.get(part.database)
      const fresh = cluster === undefined ? false : cluster.freshNow(scope)
      if (fresh === null) return null
      if (!fresh) return 'database'
    }
    return this.staleness(entry) ?? 'fresh'
  }

  async ask(entry: Dated, scope: Scope): Promise<Verdict> {
    // What has changed already need not be waited for.
    const early = this.staleness(entry)
    if (early !== null) return early
    const verdicts = entry.parts.map((part) => this.#askPart(part, scope))
    for (const verdict of await Promise.all(verdicts)) if (verdict !== 'fresh') return verdict
    // After the waiting: the watermark moves together with the filter.
    return this.staleness(entry) ?? 'fresh'
  }

  /** Null where, as far as this process knows, the entry is what the databases hold. */
  staleness(entry: Dated): MissReason | null {
    if (entry.expiresAtMs !== Infinity && entry.expiresAtMs <= Date.now()) return 'expired'
    for (const part of entry.parts) {
      const changes = this.#clusters.get(part.database)?.changes
      const filter = changes?.filter
      if (!changes || !filter) return 'database'
      if (changes.epoch !== part.epoch) return 'epoch'
      const stale = this.#compare(entry, part, changes, filter)
      if (stale !== null) return stale
    }
    return null
  }

  #compare(entry: Dated, part: EntryPart, changes: ChangeFollower, filter: Filter): MissReason | null {
    const alone = entry.parts.length === 1
    const again =
      alone && entry.checked ? filter.compareAgain(entry.checked, part.dependencies, changes.watermark) : 'unknown'
    if (again !== 'unknown') return again
    const stale = filter.staleness(part.dependencies, part.asOf)
    if (stale !== null || !alone) return stale
    entry.checked = filter.quiet(part.dependencies, Math.max(part.asOf, changes.watermark))
    return null
  }

  /** Whether what a scope's reader is shown moves its token, in any of the databases. */
  isMonotonic({ level }: Scope): boolean {
    for (const cluster of this.#clusters.values()) if ((level ?? cluster.level) === 'monotonic') return true
    return false
  }

  /**
   * Whether an entry, over or not, shows all that a scope's reader has written: all of it was read at the reader's token
   * or later. Enough for `session` and `eventual`, and for no other level.
   */
  async showsOwnWrites(entry: Dated, scope: Scope): Promise<boolean> {
    if (scope.pinned) return false
    for (const { database, epoch, asOf } of entry.parts) {
      const cluster = this.#clusters.get(database)
      if (cluster === undefined || cluster.isStrict(scope)) return false
      const required = await scope.require(cluster.tokens)
      if (required.kind !== 'position' || required.position.epoch !== epoch || required.position.lsn > asOf)
        return false
    }
    return true
  }

  /** Whether an entry that is over was the database's contents recently enough for an `eventual` reader. */
  isYoungEnough(entry: Dated, scope: Scope): boolean {
    const [part] = entry.parts
    const cluster = part && this.#clusters.get(part.database)
    if (cluster === undefined || entry.parts.length > 1 || (scope.level ?? cluster.level) !== 'eventual') return false
    const { checked } = entry
    const least = cluster.monitor.youngEnough()
    if (!checked || checked.filter !== cluster.changes?.filter || least === null) return false
    if (cluster.monitor.epoch !== part?.epoch) return false
    return checked.at >= least && entry.expiresAtMs > Date.now() && !scope.pinned
  }

  async #askPart(part: EntryPart, scope: Scope): Promise<Verdict> {
    const cluster = this.#clusters.get(part.database)
    if (cluster === undefined) return 'database'
    const needed = await cluster.awaitFresh(scope)
    if (needed === null) return cluster.freshNow(scope) === null ? 'behind' : 'database'
    if (!part.replica || !cluster.isStrict(scope)) return 'fresh'
    // A replica can show a commit that the primary's snapshots do not show yet: who is strict would see time go back. All
    // that this entry shows is in the primary's log by now, whenever the reader's own position was asked for.
    const shownUpTo = await cluster.readIndex().catch(() => null)
    if (shownUpTo === null) return 'database'
    const shown = await cluster.changes!.waitFor(shownUpTo, cluster.replicaWaitMs, 'visible')
    return shown ? 'fresh' : 'replica'
  }
}
