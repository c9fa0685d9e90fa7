/**
 * Cached objects: a name, a key, and how to assemble the data. No tags and no invalidation: what a load reads is
 * recorded, and an entry is over when any of it changes.
 */

import type { JoinFunction } from './join/types.ts'
import type { Key } from './keys.ts'
import type { Database } from '../database/database.ts'

/** What a load is given: the app's databases, whose reads are recorded, and what it may use besides. */
export type LoadTools<Databases> = { readonly [Name in keyof Databases]: Database<Databases[Name]> } & LoadContext & {
    /** Joins rows with what belongs to them; what it reads is recorded like all else. */
    readonly join: JoinFunction<Databases>
  }

export interface LoadContext {
  /** Another object as part of this one: whatever changes it changes this one too. Same level, same reader. */
  use<K extends Key, Value>(object: ObjectDefinition<K, Value>, key: K): Promise<Value | null>
  /** Several at once. */
  useMany<K extends Key, Value>(object: ObjectDefinition<K, Value>, keys: readonly K[]): Promise<(Value | null)[]>
  /** The answer depends on something that no database holds: it is over when somebody calls `ff.cache.touch(name)`. */
  dependsOn(name: string): void
}

/** Instances come back as instances: made without calling the constructor, their fields assigned. */
export type InstanceType<Value> = abstract new (...args: never[]) => Value

/** Checks keys: any schema library of the Standard Schema kind (zod, valibot, arktype). */
export interface KeySchema<K> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => unknown
    readonly types?: { readonly input: unknown; readonly output: K } | undefined
  }
}

export interface ObjectOptions<Databases, K extends Key, Value> {
  /** Unique in the app. */
  readonly name: string
  /** What keys are: for their type, and checked before each load. */
  readonly key?: KeySchema<K>
  /** The class of the value. */
  readonly type?: InstanceType<Value>
  /** Other classes whose instances are in the value, by names that mean the same in every process: `{ Money }`. */
  readonly classes?: Readonly<Record<string, InstanceType<object>>>
  /** Assembles the value for a key; null is an answer. May only read. */
  readonly load: (tools: LoadTools<Databases>, key: K) => Promise<Value | null>
  /**
   * The same for several keys at once: for each exactly what `load` gives. Keys that are missing in the map have the
   * answer null. All entries of one batch depend on all that the batch read. What only uses other objects needs none:
   * what the loads of one `getMany` use is loaded together.
   */
  readonly loadMany?: (tools: LoadTools<Databases>, keys: readonly K[]) => Promise<ReadonlyMap<K, Value | null>>
  /**
   * A column that holds the key. Rows that a batch reads by it (`where slug in (…)`) then belong to the entry of their
   * key alone: promise it only where no entry's value depends on another key's rows. Without effect where a batch
   * reads several tables by a column of this name. Keys must be scalars.
   */
  readonly loadManyBy?: string
  /** The answer is over after this, whatever happens. Needed where a load reads what cannot be followed. */
  readonly ttl?: number | string
  /** How the in-process tier hands values out: the same frozen one to everybody, or a copy to each. Default `frozen`. */
  readonly values?: 'frozen' | 'cloned'
  /** Whether workers load it again when it is over, before anybody asks. Needs workers and a shared tier. Default false. */
  readonly bake?: boolean
  /** Part of the key of every entry: raise it when the meaning of the value changes and the code of `load` does not. */
  readonly version?: number
}

export interface ObjectDefinition<K extends Key = any, Value = any> extends ObjectOptions<any, K, Value> {
  readonly kind: 'object'
}

/** Declares a cached object; without schemas: the databases are of type `any` inside. See `define` for a typed one. */
export function defineObject<K extends Key, Value>(options: ObjectOptions<any, K, Value>): ObjectDefinition<K, Value> {
  return Object.freeze({ ...options, kind: 'object' as const })
}
