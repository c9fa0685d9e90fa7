/** What look-ups look for: an object's entry, or a query's rows. One path serves both. */

import type { Entry } from './entry.ts'
import type { Fill } from './fills.ts'
import type { LoadGroup } from './load-group.ts'
import type { Recording } from './recording.ts'
import type { Scope } from '../freshness/scope.ts'

/** A load for one reader, with everything that it reads recorded. */
export interface LoadOptions {
  readonly scope: Scope
  readonly recording: Recording
  /** The load itself, for what it uses in turn. */
  readonly fill: Fill
  /** The loads that began together with it, where there are any. */
  readonly group?: LoadGroup | undefined
}

/**
 * How the in-process tier hands a value out: the same frozen one to everybody, a copy to each, or the value itself, to
 * code of ours that does not change it.
 */
export type ValueSharing = 'frozen' | 'cloned' | 'own'

/** An entry that was loaded and kept. */
export interface KeptEntry {
  readonly source: Source<any>
  readonly key: unknown
  readonly id: string
  readonly entry: Entry
}

export interface Source<K = unknown> {
  /** For errors, metrics and explanations: an object's name, or `query`. */
  readonly name: string
  /** Stands before the canonical key in the id of each entry: build, versions, what the answer hangs on besides. */
  readonly prefix: string
  readonly ttlMs: number | null
  readonly values: ValueSharing
  /** Whether clones agree on who loads an entry that none has. */
  readonly clusterWide: boolean
  /** Whether its entries are loaded ahead of demand: then each load is the only one in the cluster, and is told of. */
  readonly baked?: boolean
  load(key: K, options: LoadOptions): Promise<unknown>
  /** Answers by canonical id of the key; absent where there is no batch. */
  readonly loadMany?: (keys: readonly K[], options: LoadOptions) => Promise<ReadonlyMap<string, unknown>>
  /** The column whose value says which key of a batch a row belongs to. */
  readonly loadManyBy?: string
}
