/** Entries that other clones loaded: in the second tier, or being loaded now. */

import { setTimeout as pause } from 'node:timers/promises'

import type { Checks } from './checks.ts'
import type { Entry, MissReason } from './entry.ts'
import type { Fill } from './fills.ts'
import type { Keeper } from './keeper.ts'
import type { EntryMemory, Found } from './lookups.ts'
import type { Metrics } from './metrics.ts'
import type { SharedEntries, SharedEntry } from './shared-entries.ts'
import type { Source } from './source.ts'
import type { Scope } from '../freshness/scope.ts'
import type { Lease, Store } from '../store/store.ts'

export interface ElsewhereOptions {
  readonly checks: Checks
  readonly memory: EntryMemory
  readonly shared: SharedEntries
  readonly metrics: Metrics
  readonly store: Store
  /** Names this process among those that ask for leases. */
  readonly holder: string
}

/** An entry, or the right to load it, or neither. */
export interface FoundElsewhere {
  readonly entry: Entry | null
  readonly lease: Lease | null
}

export const nothingElsewhere: FoundElsewhere = { entry: null, lease: null }

/** What makes a load dear: the mean of those before. */
const dearMs = 10
const leaseMs = 10_000
/** A load elsewhere that takes longer than this is not waited for. */
const leaseWaitMs = 2_000
const leasePollMs = 10

export class Elsewhere {
  readonly #options: ElsewhereOptions
  readonly #keeper: Keeper

  constructor(options: ElsewhereOptions, keeper: Keeper) {
    this.#options = options
    this.#keeper = keeper
  }

  /**
   * The second tier; and where it has nothing, the right to load for all clones, or what another clone loads
   * meanwhile. Readers whom only the database can serve need not ask.
   *
   * @param batched whether it is to be one of a batch: these take no leases, which they would get one after the other
   */
  async find<K>(
    source: Source<K>,
    id: string,
    scope: Scope,
    missed: MissReason,
    fill: Fill,
    batched: boolean,
  ): Promise<FoundElsewhere> {
    const { shared, store, holder } = this.#options
    if (!shared.present || missed === 'database' || missed === 'behind' || this.#keeper.unkept.has(id))
      return nothingElsewhere
    const untilMs = performance.now() + leaseWaitMs
    for (let pauseMs = leasePollMs; ; pauseMs = Math.min(100, pauseMs * 1.5)) {
      const entry = await this.#findOneShared(source, id, scope)
      if (entry !== null || performance.now() > untilMs) return { entry, lease: null }
      if (batched || !this.#isWorthALease(source, fill)) return nothingElsewhere
      let lease: Lease | null
      try {
        lease = await store.acquireLease(`fill:${id}`, `${holder}:${id}`, leaseMs)
      } catch {
        return nothingElsewhere
      }
      if (lease !== null) return await this.#findLate(source, id, scope, lease)
      await pause(pauseMs)
    }
  }

  /** Asking for the right to load costs as much as a cheap load: it is for loads that are dear, or that many wait for. */
  #isWorthALease<K>(source: Source<K>, fill: Fill): boolean {
    const { loads, loadMs } = this.#options.metrics.of(source.name)
    if (source.baked === true) return true
    return source.clusterWide && (fill.joined > 0 || loads === 0 || loadMs / loads >= dearMs)
  }

  /** Whoever had the lease before may have shared an entry since it was looked for: then the lease is of no use. */
  async #findLate<K>(source: Source<K>, id: string, scope: Scope, lease: Lease): Promise<FoundElsewhere> {
    try {
      const entry = await this.#findOneShared(source, id, scope)
      if (entry === null) return { entry, lease }
      this.#keeper.publish(id, null, null, lease)
      return { entry, lease: null }
    } catch (error) {
      this.#keeper.publish(id, null, null, lease)
      throw error
    }
  }

  async #findOneShared<K>(source: Source<K>, id: string, scope: Scope): Promise<Entry | null> {
    const found = new Map<string, Found>()
    await this.findMany(source, [id], scope, found)
    return found.get(id)?.entry ?? null
  }

  /** Puts in what the second tier has and is fresh for the scope. */
  async findMany<K>(source: Source<K>, ids: readonly string[], scope: Scope, found: Map<string, Found>): Promise<void> {
    const { shared, checks, memory, metrics } = this.#options
    if (ids.length === 0 || !shared.present) return
    const entries = await shared.getMany(ids)
    const check = async (candidate: SharedEntry | null, id: string): Promise<void> => {
      if (candidate === null || (await checks.ask(candidate.head, scope)) !== 'fresh') return
      // Only now: what is over is not worth being made into a value.
      const entry = candidate.open()
      if (entry === null) return
      const held = memory.set(id, entry, source.values)
      metrics.of(source.name).hits.tier += 1
      found.set(id, { value: memory.handOut(held, source.values), entry: held, from: 'tier', missed: 'absent' })
    }
    await Promise.all(entries.map((entry, at) => check(entry, ids[at]!)))
  }
}
