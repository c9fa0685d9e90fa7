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

import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'

import { FourfoldError } from '../core/errors.ts'
import { loneFill } from './fills.ts'
import { Recording } from './recording.ts'
import { isTimeToRenew } from './refresher.ts'

import type { Checks, Clusters } from './checks.ts'
import type { Entry, MissReason } from './entry.ts'
import type { Fill, Filled, Fills } from './fills.ts'
import type { Metrics } from './metrics.ts'
import type { SharedEntries, SharedEntry } from './shared-entries.ts'
import type { LoadOptions, Source } from './source.ts'
import type { Logger } from '../core/log.ts'
import type { Position } from '../engines/position.ts'
import type { ChangeFollower } from '../freshness/changes/follower.ts'
import type { Scope } from '../freshness/scope.ts'
import type { Lease, Store } from '../store/store.ts'

/** The in-process tier. */
export interface EntryMemory {
  get(id: string): Entry | undefined
  /**
   * Keeps an entry, and answers it as it is kept: frozen, where it is to be.
   *
   * @throws FF_CACHE_VALUE where its value cannot be kept as it is declared to be
   */
  set(id: string, entry: Entry, values: 'frozen' | 'cloned'): Entry
  /**
   * A value that is not kept, as it would be handed out if it were: what a reader may do with it must not hang on that.
   *
   * @throws FF_CACHE_VALUE
   */
  protect(value: unknown, values: 'frozen' | 'cloned', name: string): unknown
  /** The value for one reader: itself, or a copy. */
  handOut(entry: Entry, values: 'frozen' | 'cloned'): unknown
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

/** What came of a load, and its bytes for the second tier. */
interface Kept {
  readonly filled: Filled
  readonly bytes: Uint8Array | null
}

const nothing = { entry: null, lease: null }

/** How long a refresh waits until a change can be seen that has been told already. */
const refreshWaitMs = 100
const maxJoins = 3
/** What makes a load dear: the mean of those before. */
const dearMs = 10
const leaseMs = 10_000
/** A load elsewhere that takes longer than this is not waited for. */
const leaseWaitMs = 2_000
const leasePollMs = 10

export class Lookups {
  readonly #options: LookupOptions
  readonly #background = new Set<Promise<void>>()
  /** What could not be kept when it was last loaded: nobody should wait for another's load of it. */
  readonly #unkept = new Unkept()

  constructor(options: LookupOptions) {
    this.#options = options
  }

  async find<K>(source: Source<K>, key: K, id: string, scope: Scope, parent: Fill | null): Promise<Found> {
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
      if (this.#unkept.has(id) && !mayShare) break
      if (fills.wouldWaitForItself(parent, running)) break
      joins += 1
      const { entry, value, direct = false } = await fills.join(running, parent)
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
    return await this.#start(source, key, id, scope, parent, missed)
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
    await this.#findShared(
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
    for (const _ of batch) metrics.missed(source.name, 'absent')
    await Promise.all([
      ...joined.map(async (id) => found.set(id, await this.find(source, wanted.get(id)!, id, scope, parent))),
      batch.length > 0 && this.#loadBatch(source, batch, wanted, scope, parent, found),
    ])
    return ids.map((id) => found.get(id)!)
  }

  /** Loads without any tier and keeps nothing: for transactions. */
  async loadOnly<K>(source: Source<K>, keys: readonly K[], ids: readonly string[], scope: Scope): Promise<unknown[]> {
    const recording = new Recording(this.#options.clusters)
    const values = await loadInTurn(source, keys, ids, { scope, recording, fill: loneFill('a transaction', null) })
    return values.map((value) => this.#options.memory.protect(value, source.values, source.name))
  }

  /** Waits for what is being written to the second tier. */
  async settle(): Promise<void> {
    await Promise.all(this.#background)
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
    if (this.#options.fills.find(id) === null) await this.#start(source, key, id, scope, null, missed)
  }

  #renewEarly<K>(source: Source<K>, key: K, id: string, scope: Scope, held: Entry): void {
    const { fills, log } = this.#options
    if (held.expiresAtMs === Infinity || fills.find(id) !== null) return
    if (!isTimeToRenew(held.loadMs, held.expiresAtMs, Date.now(), Math.random())) return
    this.#start(source, key, id, scope, null, 'expired', true).catch((error: unknown) =>
      log.debug({ error, id }, 'not renewed early'),
    )
  }

  /** An `eventual` reader is served what was valid a moment ago, and the load runs behind. */
  #previous<K>(source: Source<K>, key: K, id: string, scope: Scope, held: Entry, missed: MissReason): Found {
    const { fills, metrics, memory, log } = this.#options
    if (fills.find(id) === null) {
      metrics.missed(source.name, missed)
      this.#start(source, key, id, scope, null, missed).catch((error: unknown) =>
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
    scope: Scope,
    parent: Fill | null,
    missed: MissReason,
    early = false,
  ): Promise<Found> {
    let from: From = 'load'
    const fill = this.#options.fills.start(id, parent, async (running) => {
      // What the tiers have is still good where it is loaded early.
      const shared = early ? nothing : await this.#findElsewhere(source, id, scope, missed, running)
      if (shared.entry !== null) {
        from = 'tier'
        return { value: this.#options.memory.handOut(shared.entry, source.values), entry: shared.entry }
      }
      return await this.#load(source, key, id, scope, running, shared.lease)
    })
    const { value, entry } = await fill.done
    return { value, entry, from, missed }
  }

  /**
   * The second tier; and where it has nothing, the right to load for all clones, or what another clone loads
   * meanwhile. Readers whom only the database can serve need not ask.
   */
  async #findElsewhere<K>(
    source: Source<K>,
    id: string,
    scope: Scope,
    missed: MissReason,
    fill: Fill,
  ): Promise<{ entry: Entry | null; lease: Lease | null }> {
    const { shared, store, holder } = this.#options
    if (!shared.present || missed === 'database' || missed === 'behind' || this.#unkept.has(id)) return nothing
    const untilMs = performance.now() + leaseWaitMs
    for (let pauseMs = leasePollMs; ; pauseMs = Math.min(100, pauseMs * 1.5)) {
      const entry = await this.#findOneShared(source, id, scope)
      if (entry !== null || performance.now() > untilMs) return { entry, lease: null }
      if (!this.#isWorthALease(source, fill)) return nothing
      let lease: Lease | null
      try {
        lease = await store.acquireLease(`fill:${id}`, `${holder}:${id}`, leaseMs)
      } catch {
        return nothing
      }
      if (lease !== null) return await this.#findLate(source, id, scope, lease)
      await pause(pauseMs)
    }
  }

  /** Asking for the right to load costs as much as a cheap load: it is for loads that are dear, or that many wait for. */
  #isWorthALease<K>(source: Source<K>, fill: Fill): boolean {
    const { loads, loadMs } = this.#options.metrics.of(source.name)
    return source.clusterWide && (fill.joined > 0 || loads === 0 || loadMs / loads >= dearMs)
  }

  /** Whoever had the lease before may have shared an entry since it was looked for: then the lease is of no use. */
  async #findLate<K>(
    source: Source<K>,
    id: string,
    scope: Scope,
    lease: Lease,
  ): Promise<{ entry: Entry | null; lease: Lease | null }> {
    try {
      const entry = await this.#findOneShared(source, id, scope)
      if (entry === null) return { entry, lease }
      this.#publish(id, null, null, lease)
      return { entry, lease: null }
    } catch (error) {
      this.#publish(id, null, null, lease)
      throw error
    }
  }

  async #findOneShared<K>(source: Source<K>, id: string, scope: Scope): Promise<Entry | null> {
    const found = new Map<string, Found>()
    await this.#findShared(source, [id], scope, found)
    return found.get(id)?.entry ?? null
  }

  async #findHeld<K>(source: Source<K>, id: string, scope: Scope, found: Map<string, Found>): Promise<void> {
    const { memory, checks } = this.#options
    const held = memory.get(id)
    if (held === undefined || (await checks.ask(held, scope)) !== 'fresh') return
    found.set(id, this.#hit(source, held, 'memory', null))
  }

  async #findShared<K>(
    source: Source<K>,
    ids: readonly string[],
    scope: Scope,
    found: Map<string, Found>,
  ): Promise<void> {
    const { shared, checks, memory } = this.#options
    if (ids.length === 0 || !shared.present) return
    const entries = await shared.getMany(ids)
    const check = async (candidate: SharedEntry | null, id: string): Promise<void> => {
      if (candidate === null || (await checks.ask(candidate.head, scope)) !== 'fresh') return
      // Only now: what is over is not worth being made into a value.
      const entry = candidate.open()
      if (entry !== null) found.set(id, this.#hit(source, memory.set(id, entry, source.values), 'tier', 'absent'))
    }
    await Promise.all(entries.map((entry, at) => check(entry, ids[at]!)))
  }

  async #load<K>(
    source: Source<K>,
    key: K,
    id: string,
    scope: Scope,
    fill: Fill,
    lease: Lease | null,
  ): Promise<Filled> {
    const recording = new Recording(this.#options.clusters)
    try {
      const { value, loadMs } = await this.#measure(source, () => source.load(key, { scope, recording, fill }))
      const { filled, bytes } = this.#keep(source, id, checkDefined(source, value), recording, loadMs)
      this.#publish(id, filled.entry, bytes, lease)
      return filled
    } catch (error) {
      this.#publish(id, null, null, lease)
      throw error
    }
  }

  /** One load for several entries, which others may join one by one. */
  async #loadBatch<K>(
    source: Source<K>,
    ids: readonly string[],
    wanted: ReadonlyMap<string, K>,
    scope: Scope,
    parent: Fill | null,
    found: Map<string, Found>,
  ): Promise<void> {
    const { fills, clusters } = this.#options
    const recording = new Recording(clusters, source.loadManyBy ?? null)
    const results = new Map<string, Kept>()
    const keys = ids.map((id) => wanted.get(id)!)
    const batch = fills.start(`${ids[0]!} and ${ids.length - 1} more`, parent, async (fill) => {
      const { value, loadMs } = await this.#measure(source, () => source.loadMany!(keys, { scope, recording, fill }))
      const tellApart = keysOf(source, ids)
      for (const id of ids) {
        const answer = (value as ReadonlyMap<string, unknown>).get(id) ?? null
        results.set(id, this.#keep(source, id, answer, recording, loadMs, tellApart))
      }
      return { value: null, entry: null }
    })
    // So that others can join one of them.
    for (const id of ids) fills.startMember(id, batch, () => results.get(id)!.filled)
    await batch.done
    for (const [id, { filled, bytes }] of results) {
      this.#publish(id, filled.entry, bytes, null)
      found.set(id, { ...filled, from: 'load', missed: 'absent' })
    }
  }

  async #measure<K, T>(source: Source<K>, load: () => Promise<T>): Promise<{ value: T; loadMs: number }> {
    const counts = this.#options.metrics.of(source.name)
    const began = performance.now()
    counts.loads += 1
    try {
      const value = await load()
      return { value, loadMs: performance.now() - began }
    } catch (error) {
      counts.failedLoads += 1
      throw error
    } finally {
      counts.loadMs += performance.now() - began
    }
  }

  #keep<K>(
    source: Source<K>,
    id: string,
    value: unknown,
    recording: Recording,
    loadMs: number,
    keys: ReadonlySet<string> | null = null,
  ): Kept {
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
    this.#unkept.delete(id)
    // Also where there is no second tier: what could not be kept in one is not kept today and refused tomorrow.
    const bytes = shared.encode(id, entry, source.name)
    const held = memory.set(id, entry, source.values)
    return { filled: { value: memory.handOut(held, source.values), entry: held }, bytes }
  }

  #refuse<K>(source: Source<K>, id: string, value: unknown, reason: string, direct = false): Kept {
    this.#options.metrics.refused(source.name, reason)
    this.#unkept.add(id)
    const { memory } = this.#options
    const filled = { value: memory.protect(value, source.values, source.name), entry: null, direct }
    return { filled, bytes: null }
  }

  /** Behind the answer: nobody waits for the second tier. The lease goes when others can find the entry. */
  #publish(id: string, entry: Entry | null, bytes: Uint8Array | null, lease: Lease | null): void {
    const { shared, store, log } = this.#options
    const shares = entry !== null && bytes !== null && shared.present
    if (!shares && lease === null) return
    const work = (async () => {
      if (shares) await shared.set(id, bytes, entry.expiresAtMs)
      if (lease !== null) await store.releaseLease(lease)
    })().catch((error: unknown) => log.debug({ error, id }, 'an entry was not shared'))
    this.#background.add(work)
    void work.finally(() => this.#background.delete(work))
  }
}

/** What tells the rows of a batch's entries apart; null where nothing does. */
function keysOf<K>({ loadManyBy, prefix }: Source<K>, ids: readonly string[]): ReadonlySet<string> | null {
  if (loadManyBy === undefined || ids.length < 2) return null
  return new Set(ids.map((id) => keyText(prefix, id)))
}

/** Canonical keys are canonical texts of values with a letter in front. */
function keyText(prefix: string, id: string): string {
  return id.slice(prefix.length + 1)
}

/**
 * One batch where there is one; else one after the other: a transaction has one connection.
 *
 * @throws FF_CACHE_CYCLE
 */
export async function loadInTurn<K>(
  source: Source<K>,
  keys: readonly K[],
  ids: readonly string[],
  options: LoadOptions,
): Promise<unknown[]> {
  const wanted = new Map(ids.map((id, at) => [id, keys[at]!]))
  const within = (id: string): LoadOptions => ({ ...options, fill: loneFill(id, options.fill) })
  let answers: ReadonlyMap<string, unknown>
  if (source.loadMany !== undefined && wanted.size > 1) {
    answers = await source.loadMany([...wanted.values()], within(`${ids[0]!} and ${wanted.size - 1} more`))
  } else {
    const loaded = new Map<string, unknown>()
    for (const [id, key] of wanted) loaded.set(id, checkDefined(source, await source.load(key, within(id))))
    answers = loaded
  }
  return ids.map((id) => answers.get(id) ?? null)
}

const unkeptMs = 1_000
const maxUnkept = 10_000

/** Ids, each for a moment. */
class Unkept {
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

function watermarkOf(changes: ChangeFollower): Position {
  return { epoch: changes.epoch ?? '', lsn: changes.watermark }
}

function checkDefined<K>(source: Source<K>, value: unknown): unknown {
  if (value !== undefined) return value
  const message = `The load of ${source.name} answered undefined: expected a value, or null for what does not exist`
  throw new FourfoldError('FF_CACHE_UNDEFINED', message, { fields: { name: source.name } })
}
