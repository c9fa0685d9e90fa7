/**
 * Look-ups: the in-process tier, the second tier, whoever loads it already, and the database, in this order.
 *
 * Invariants:
 * - Whatever is handed out of a tier, or was loaded for another reader, passed {@link Checks} for this one.
 * - A load that this reader began reads as fresh as this reader asks, so its answer needs no check. Nor does that of a
 *   load which began after this reader came and read the primary alone: it shows all that was acknowledged before. (Not
 *   for `monotonic` readers, whose token would have to move with what they are shown.)
 * - Nothing here needs the second tier or the store to be right or alive: both only save loads.
 */

import { isFourfoldError } from '../core/errors.ts'
import { Elsewhere, nothingElsewhere } from './elsewhere.ts'
import { isBehindGate, loneFill } from './fills.ts'
import { Keeper } from './keeper.ts'
import { LoadGroup } from './load-group.ts'
import { loadInTurn, Loads } from './loads.ts'
import { Recording } from './recording.ts'
import { isTimeToRenew } from './refresher.ts'

import type { Checks, Clusters } from './checks.ts'
import type { Entry, MissReason } from './entry.ts'
import type { Fill, Fills } from './fills.ts'
import type { Metrics } from './metrics.ts'
import type { SharedEntries } from './shared-entries.ts'
import type { KeptEntry, Source, ValueSharing } from './source.ts'
import type { Logger } from '../core/log.ts'
import type { Position } from '../engines/position.ts'
import type { ChangeFollower } from '../freshness/changes/follower.ts'
import type { Scope } from '../freshness/scope.ts'
import type { Store } from '../store/store.ts'

/** The in-process tier. */
export interface EntryMemory {
  get(id: string): Entry | undefined
  /**
   * Keeps an entry, and answers it as it is kept: frozen, where it is to be.
   *
   * @throws FF_CACHE_VALUE where its value cannot be kept as it is declared to be
   */
  set(id: string, entry: Entry, values: ValueSharing): Entry
  /**
   * A value that is not kept, as it would be handed out if it were: what a reader may do with it must not hang on that.
   *
   * @throws FF_CACHE_VALUE
   */
  protect(value: unknown, values: ValueSharing, name: string): unknown
  /** The value for one reader: itself, or a copy. */
  handOut(entry: Entry, values: ValueSharing): unknown
}

export interface LookupOptions {
  readonly clusters: Clusters
  readonly checks: Checks
  readonly memory: EntryMemory
  readonly shared: SharedEntries
  readonly fills: Fills
  readonly metrics: Metrics
  readonly store: Store
  /** Names this process among those that ask for leases. */
  readonly holder: string
  /** Hears of entries that are to be loaded ahead of demand, once others can find them. */
  readonly onKept?: ((kept: KeptEntry) => Promise<void>) | undefined
  readonly log: Logger
}

/** Where an answer came from. */
export type From = 'memory' | 'tier' | 'joined' | 'previous' | 'load'

export interface Found {
  readonly value: unknown
  readonly entry: Entry | null
  readonly from: From
  /** Why nothing before it served; null for a hit in the in-process tier. */
  readonly missed: MissReason | null
}

/** How a load begins. */
interface Start {
  readonly scope: Scope
  readonly parent: Fill | null
  readonly missed: MissReason
  /** What the tiers have is still good, and is loaded all the same. */
  readonly early?: boolean
  readonly group?: LoadGroup | undefined
}

/** How long a refresh waits until a change can be seen that has been told already. */
const refreshWaitMs = 100
const maxJoins = 3

export class Lookups {
  readonly #options: LookupOptions
  readonly #keeper: Keeper
  readonly #loads: Loads
  readonly #elsewhere: Elsewhere

  constructor(options: LookupOptions) {
    this.#options = options
    this.#keeper = new Keeper(options)
    this.#loads = new Loads(options, this.#keeper)
    this.#elsewhere = new Elsewhere(options, this.#keeper)
  }

  async find<K>(
    source: Source<K>,
    key: K,
    id: string,
    scope: Scope,
    parent: Fill | null,
    group?: LoadGroup,
  ): Promise<Found> {
    const { checks, fills, memory, metrics } = this.#options
    const { begun } = fills
    let missed: MissReason = 'absent'
    let seen: Entry | undefined
    for (let joins = 0; ;) {
      const held = memory.get(id)
      if (held !== undefined && held !== seen) {
        seen = held
        const verdict = await checks.ask(held, scope)
        if (verdict === 'fresh') {
          this.#renewEarly(source, key, id, scope, held)
          return this.#hit(source, held, 'memory', null)
        }
        missed = verdict
        if (checks.isYoungEnough(held, scope)) return this.#previous(source, key, id, scope, held, missed)
        continue
      }
      const running = fills.find(id)
      if (running === null || joins === maxJoins) break
      const mayShare = running.number > begun && source.values === 'frozen' && !checks.isMonotonic(scope)
      if (this.#keeper.unkept.has(id) && !mayShare) break
      if (fills.wouldWaitForItself(parent, running)) break
      joins += 1
      const joined = await fills.join(running, parent).catch((error: unknown) => nullForGateCycle(error, running))
      if (joined === null) break
      const { entry, value, direct = false } = joined
      if (entry === null) {
        // It cannot be checked, and need not be where the database was asked after this reader came.
        if (mayShare && direct) return { value, entry: null, from: 'joined', missed }
        continue
      }
      seen = entry
      const verdict = await checks.ask(entry, scope)
      if (verdict === 'fresh') return this.#hit(source, entry, 'joined', missed)
      missed = verdict
    }
    metrics.missed(source.name, missed)
    return await this.#start(source, key, id, { scope, parent, missed, group })
  }

  /** Answers in the order of the keys. */
  async findMany<K>(
    source: Source<K>,
    keys: readonly K[],
    ids: readonly string[],
    scope: Scope,
    parent: Fill | null,
  ): Promise<Found[]> {
    const found = new Map<string, Found>()
    const wanted = new Map(ids.map((id, at) => [id, keys[at]!]))
    await Promise.all([...wanted.keys()].map((id) => this.#findHeld(source, id, scope, found)))
    await this.#elsewhere.findMany(
      source,
      [...wanted.keys()].filter((id) => !found.has(id)),
      scope,
      found,
    )
    const { fills, metrics } = this.#options
    const missing = [...wanted.keys()].filter((id) => !found.has(id))
    const alone = source.loadMany === undefined || missing.length === 1
    const joined = missing.filter((id) => alone || fills.find(id) !== null)
    const batch = missing.filter((id) => !joined.includes(id))
    const group = joined.length > 1 ? new LoadGroup() : undefined
    for (const _ of batch) metrics.missed(source.name, 'absent')
    await Promise.all([
      ...joined.map(async (id) => found.set(id, await this.find(source, wanted.get(id)!, id, scope, parent, group))),
      batch.length > 0 && this.#loads.batch(source, batch, wanted, scope, parent, found),
    ])
    return ids.map((id) => found.get(id)!)
  }

  /** Loads without any tier and keeps nothing: for transactions. */
  async loadOnly<K>(source: Source<K>, keys: readonly K[], ids: readonly string[], scope: Scope): Promise<unknown[]> {
    const recording = new Recording(this.#options.clusters)
    const values = await loadInTurn(source, keys, ids, { scope, recording, fill: loneFill('a transaction', null) })
    return values.map((value) => this.#options.memory.protect(value, source.values, source.name))
  }

  /**
   * What an entry was before it was over, where its reader may have it still: it shows the reader's own last write. For
   * when nothing newer can be made.
   */
  async before(id: string, scope: Scope): Promise<Entry | null> {
    const { memory, shared, checks } = this.#options
    const held = memory.get(id) ?? (await shared.getMany([id]))[0]?.open() ?? null
    return held !== null && (await checks.showsOwnWrites(held, scope)) ? held : null
  }

  /** What was loaded last of an entry, fresh or not; null where no tier has any. */
  async newest(id: string): Promise<Entry | null> {
    const held = this.#options.memory.get(id) ?? null
    const shared = (await this.#options.shared.getMany([id]))[0]?.open() ?? null
    if (held === null || shared === null) return shared ?? held
    return shared.filledAtMs >= held.filledAtMs ? shared : held
  }

  /** Waits for what is being written to the second tier. */
  async settle(): Promise<void> {
    await this.#keeper.settle()
  }

  #hit<K>(source: Source<K>, entry: Entry, from: 'memory' | 'tier' | 'joined', missed: MissReason | null): Found {
    this.#options.metrics.of(source.name).hits[from] += 1
    return { value: this.#options.memory.handOut(entry, source.values), entry, from, missed }
  }

  /** Loads an entry again that is over, as fresh as the database is now; nobody waits for it. */
  async refresh<K>(source: Source<K>, key: K, id: string, scope: Scope): Promise<void> {
    const stale = this.#options.memory.get(id)
    const missed = stale && this.#options.checks.staleness(stale)
    if (!missed || this.#options.fills.find(id) !== null) return
    for (const { database } of stale.parts) {
      const changes = this.#options.clusters.get(database)?.changes
      // What was changed must be visible first: until then a load cannot be kept.
      if (changes) await changes.waitFor(watermarkOf(changes), refreshWaitMs, 'visible')
    }
    if (this.#options.fills.find(id) === null) await this.#start(source, key, id, { scope, parent: null, missed })
  }

  /** Loads an entry although what the tiers have may be good: for who wants it anew, whatever its age. */
  async anew<K>(source: Source<K>, key: K, id: string, scope: Scope): Promise<Found> {
    // One that runs already may have begun before whatever it is wanted anew for.
    await this.#options.fills.find(id)?.done.catch(() => undefined)
    return await this.#start(source, key, id, { scope, parent: null, missed: 'expired', early: true })
  }

  #renewEarly<K>(source: Source<K>, key: K, id: string, scope: Scope, held: Entry): void {
    const { fills, log } = this.#options
    if (held.expiresAtMs === Infinity || fills.find(id) !== null) return
    if (!isTimeToRenew(held.loadMs, held.expiresAtMs, Date.now(), Math.random())) return
    this.#start(source, key, id, { scope, parent: null, missed: 'expired', early: true }).catch((error: unknown) =>
      log.debug({ error, id }, 'not renewed early'),
    )
  }

  /** An `eventual` reader is served what was valid a moment ago, and the load runs behind. */
  #previous<K>(source: Source<K>, key: K, id: string, scope: Scope, held: Entry, missed: MissReason): Found {
    const { fills, metrics, memory, log } = this.#options
    if (fills.find(id) === null) {
      metrics.missed(source.name, missed)
      this.#start(source, key, id, { scope, parent: null, missed }).catch((error: unknown) =>
        log.debug({ error, id }, 'not renewed'),
      )
    }
    metrics.of(source.name).hits.previous += 1
    return { value: memory.handOut(held, source.values), entry: held, from: 'previous', missed }
  }

  async #start<K>(
    source: Source<K>,
    key: K,
    id: string,
    { scope, parent, missed, early = false, group }: Start,
  ): Promise<Found> {
    let from: From = 'load'
    const fill = this.#options.fills.start(id, parent, async (running) => {
      const batched = group !== undefined && source.loadMany !== undefined
      // What the tiers have is still good where it is loaded early.
      const shared = early ? nothingElsewhere : await this.#elsewhere.find(source, id, scope, missed, running, batched)
      if (shared.entry !== null) {
        from = 'tier'
        return { value: this.#options.memory.handOut(shared.entry, source.values), entry: shared.entry }
      }
      const member = { key, id, fill: running }
      if (batched) return await this.#loads.inGroup(source, member, group, scope)
      return await this.#loads.one(source, member, { scope, lease: shared.lease, group })
    })
    const { value, entry } = await fill.done
    return { value, entry, from, missed }
  }

  async #findHeld<K>(source: Source<K>, id: string, scope: Scope, found: Map<string, Found>): Promise<void> {
    const { memory, checks } = this.#options
    const held = memory.get(id)
    if (held === undefined || (await checks.ask(held, scope)) !== 'fresh') return
    found.set(id, this.#hit(source, held, 'memory', null))
  }
}

/** A load that a batch uses can meet a circle that only the batch makes: who joined it finds out by a load of their own. */
function nullForGateCycle(error: unknown, fill: Fill): null {
  if (isFourfoldError(error) && error.code === 'FF_CACHE_CYCLE' && isBehindGate(fill)) return null
  throw error
}

function watermarkOf(changes: ChangeFollower): Position {
  return { epoch: changes.epoch ?? '', lsn: changes.watermark }
}
