/** Loads: one entry or a batch of them, measured, recorded, and kept where they can be. */

import { FourfoldError } from '../core/errors.ts'
import { gateFill, loneFill } from './fills.ts'
import { keysOf, type Keeper, type Kept } from './keeper.ts'
import { Recording } from './recording.ts'

import type { Clusters } from './checks.ts'
import type { Fill, Filled, Fills } from './fills.ts'
import type { LoadGroup, Member } from './load-group.ts'
import type { Found } from './lookups.ts'
import type { Metrics } from './metrics.ts'
import type { LoadOptions, Source } from './source.ts'
import type { Scope } from '../freshness/scope.ts'
import type { Lease } from '../store/store.ts'

/** How one entry is loaded. */
export interface LoadHow {
  readonly scope: Scope
  readonly lease: Lease | null
  readonly group?: LoadGroup | undefined
}

export interface LoadsOptions {
  readonly clusters: Clusters
  readonly fills: Fills
  readonly metrics: Metrics
}

export class Loads {
  readonly #options: LoadsOptions
  readonly #keeper: Keeper

  constructor(options: LoadsOptions, keeper: Keeper) {
    this.#options = options
    this.#keeper = keeper
  }

  async one<K>(source: Source<K>, { key, id, fill }: Member<K>, how: LoadHow): Promise<Filled> {
    const { scope, lease, group } = how
    const recording = new Recording(this.#options.clusters)
    try {
      const { value, loadMs } = await this.#measure(source, () => source.load(key, { scope, recording, fill, group }))
      const answer = checkDefined(source, value)
      const { filled, bytes } = this.#keeper.keep({ source, id, value: answer, recording, loadMs })
      this.#keeper.publish(id, filled.entry, bytes, lease, { source, key })
      return filled
    } catch (error) {
      this.#keeper.publish(id, null, null, lease)
      throw error
    }
  }

  /** As one of a group: what others of it want of the same object at this moment is loaded with it. */
  async inGroup<K>(source: Source<K>, member: Member<K>, group: LoadGroup, scope: Scope): Promise<Filled> {
    return await group.load(source, member, {
      alone: (one) => this.one(source, one, { scope, lease: null }),
      together: (members) => this.#together(source, members, scope),
    })
  }

  /** One load for several entries, which others may join one by one. */
  async batch<K>(
    source: Source<K>,
    ids: readonly string[],
    wanted: ReadonlyMap<string, K>,
    scope: Scope,
    parent: Fill | null,
    found: Map<string, Found>,
  ): Promise<void> {
    const { fills } = this.#options
    let results: ReadonlyMap<string, Kept> = new Map()
    const batch = fills.start(`${ids[0]!} and ${ids.length - 1} more`, parent, async (fill) => {
      const keys = ids.map((id) => wanted.get(id)!)
      results = await this.#loadMany(source, ids, keys, scope, fill)
      return { value: null, entry: null }
    })
    // So that others can join one of them.
    for (const id of ids) fills.startMember(id, batch, () => results.get(id)!.filled)
    await batch.done
    for (const [id, { filled, bytes }] of results) {
      this.#keeper.publish(id, filled.entry, bytes, null, { source, key: wanted.get(id)! })
      found.set(id, { ...filled, from: 'load', missed: 'absent' })
    }
  }

  /** The same for loads that have begun each by itself. */
  async #together<K>(source: Source<K>, members: readonly Member<K>[], scope: Scope): Promise<Filled[]> {
    const gate = gateFill(members.map(({ fill }) => fill))
    const ids = members.map(({ id }) => id)
    const keys = members.map(({ key }) => key)
    for (const { fill } of members) fill.waitsFor.add(gate)
    try {
      const results = await this.#loadMany(source, ids, keys, scope, gate)
      return ids.map((id, at) => {
        const { filled, bytes } = results.get(id)!
        this.#keeper.publish(id, filled.entry, bytes, null, { source, key: keys[at]! })
        return filled
      })
    } finally {
      for (const { fill } of members) fill.waitsFor.delete(gate)
    }
  }

  async #loadMany<K>(
    source: Source<K>,
    ids: readonly string[],
    keys: readonly K[],
    scope: Scope,
    fill: Fill,
  ): Promise<ReadonlyMap<string, Kept>> {
    const recording = new Recording(this.#options.clusters, source.loadManyBy ?? null)
    const { value, loadMs } = await this.#measure(source, () => source.loadMany!(keys, { scope, recording, fill }))
    const share = keysOf(source, ids)
    return new Map(
      ids.map((id) => {
        const answer = (value as ReadonlyMap<string, unknown>).get(id) ?? null
        return [id, this.#keeper.keep({ source, id, value: answer, recording, loadMs, keys: share })]
      }),
    )
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

function checkDefined<K>(source: Source<K>, value: unknown): unknown {
  if (value !== undefined) return value
  const message = `The load of ${source.name} answered undefined: expected a value, or null for what does not exist`
  throw new FourfoldError('FF_CACHE_UNDEFINED', message, { fields: { name: source.name } })
}
