/**
 * `ff.cache`: cached objects and queries for one reader.
 *
 * The first part of a look-up is written for speed: an entry that stands in this process and is fresh for a reader whose
 * needs are known is answered without waiting for anything.
 */

import { FourfoldError } from '../core/errors.ts'
import { finishRows, hasPlugins } from '../database/kysely-dialect.ts'
import { HeldHits } from './held-hits.ts'
import { canonicalKey, ownKey, type Key } from './keys.ts'
import { ownParameters } from '../database/parameters.ts'
import { QuickScope } from './quick-hits.ts'
import { CacheStatus } from './status.ts'

import type { CachedStream, CacheCore, CountedSource } from './core.ts'
import type { ObjectDefinition } from './define-object.ts'
import type { Explanation } from './explain.ts'
import type { Fill } from './fills.ts'
import type { Found } from './lookups.ts'
import type { SourceMetrics } from './metrics.ts'
import type { CompilableQuery, Query, QueryOptions } from './query-source.ts'
import type { Level } from '../freshness/level.ts'
import type { Scope } from '../freshness/scope.ts'
import type { Transaction } from 'kysely'

export interface GetOptions {
  /** For this read; asked for on a single read, `strict` sees what was acknowledged before that read. */
  readonly level?: Level
  /** Assembles the value inside a transaction, from what that sees; reads no cache and stores nothing. */
  readonly in?: Transaction<any>
}

export interface Cache {
  /**
   * An object's value for a key; null is an answer too.
   *
   * @throws FF_CACHE_KEY, FF_CACHE_UNCACHEABLE, FF_CACHE_NO_DEPENDENCY, FF_CACHE_BUSY, and what its load throws
   */
  get<K extends Key, Value>(object: ObjectDefinition<K, Value>, key: K, options?: GetOptions): Promise<Value | null>
  /** The values for several keys, in their order: one round trip to the second tier, one batch for the rest. */
  getMany<K extends Key, Value>(
    object: ObjectDefinition<K, Value>,
    keys: readonly K[],
    options?: GetOptions,
  ): Promise<(Value | null)[]>
  /**
   * The rows of a query, kept until what it read changes.
   *
   * ```ts
   * await ff.cache.query(ff.databases.main.selectFrom('tags').select('name'))
   * await ff.cache.query('select name from tags where name like $1', ['a%'])
   * ```
   *
   * @throws FF_CACHE_QUERY, FF_CACHE_IN_TRANSACTION, FF_CACHE_UNCACHEABLE
   */
  query<Row>(query: CompilableQuery<Row>, options?: QueryOptions & { readonly level?: Level }): Promise<Row[]>
  query<Row = Record<string, unknown>>(
    sql: string,
    parameters?: readonly unknown[],
    options?: QueryOptions & { readonly level?: Level },
  ): Promise<Row[]>
  /** Ends all entries that depend on a name: after what stands behind it has changed. A write like any other. */
  touch(name: string, options?: { readonly in?: Transaction<any> }): Promise<void>
  /** What is known of an entry, and why the last look-up that missed it did. Loads nothing. */
  explain<K extends Key, Value>(object: ObjectDefinition<K, Value>, key: K): Promise<Explanation>
  /**
   * What the look-ups of this instance found so far, as the field `Cache-Status` (RFC 9211): empty before the first. Those
   * of `ff` in a request are the request's; at most 20 are told one by one.
   */
  status(): string
  /** Counts since the process began, by object; queries stand under `query`. */
  metrics(): Readonly<Record<string, SourceMetrics>>
  /** How far this process knows each database's changes; null for one whose changes are not followed. */
  streams(): Readonly<Record<string, CachedStream | null>>
}

export class ScopedCache implements Cache {
  readonly #core: CacheCore
  readonly #scope: Scope
  readonly #quick: QuickScope
  /** Set for what a load uses: it waits for this look-up. */
  readonly #parent: Fill | null
  readonly #status = new CacheStatus()

  constructor(core: CacheCore, scope: Scope, parent: Fill | null = null) {
    this.#core = core
    this.#scope = scope
    this.#quick = new QuickScope(scope, core.checks)
    this.#parent = parent
  }

  get<K extends Key, Value>(object: ObjectDefinition<K, Value>, key: K, options?: GetOptions): Promise<Value | null> {
    const core = this.#core
    const source = core.sourceOf(object)
    const quick = options === undefined ? source.quick.get(key) : undefined
    if (quick !== undefined && this.#quick.isFresh(quick, performance.now())) {
      core.useQuick(source, key, quick)
      this.#status.add(source.name, 'memory', null, quick.entry)
      return quick.answer as Promise<Value | null>
    }
    const id = source.prefix + canonicalKey(key, source.name)
    if (options === undefined) {
      const entry = core.memory.get(id)
      if (entry !== undefined && core.checks.now(entry, this.#scope) === 'fresh') {
        this.#status.add(source.name, 'memory', null, entry)
        return Promise.resolve(core.handOut(source, key, entry) as Value | null)
      }
    }
    return this.#find(source, ownKey(key), id, options) as Promise<Value | null>
  }

  async getMany<K extends Key, Value>(
    object: ObjectDefinition<K, Value>,
    keys: readonly K[],
    options?: GetOptions,
  ): Promise<(Value | null)[]> {
    const core = this.#core
    const source = core.sourceOf(object)
    if (options?.in !== undefined) {
      const own = keys.map(ownKey)
      const ids = own.map((key) => source.prefix + canonicalKey(key, source.name))
      const loaded = await core.lookups.loadOnly(core.inside(source, options.in), own, ids, this.#scope)
      return loaded as (Value | null)[]
    }
    const held = new HeldHits(core, this.#scope, source, keys)
    if (options === undefined) await held.take(this.#quick, this.#status)
    const { values, left } = held
    if (left.length === 0) return values as (Value | null)[]
    const [otherKeys, otherIds] = [left.map((at) => held.keys[at]!), left.map((at) => held.idOf(at))]
    const found = await core.lookups.findMany<Key>(source, otherKeys, otherIds, this.#at(options), this.#parent)
    for (const [index, at] of left.entries()) values[at] = this.#told(source.name, found[index]!)
    return values as (Value | null)[]
  }

  async query<Row>(
    query: CompilableQuery<Row> | string,
    given?: readonly unknown[] | (QueryOptions & { readonly level?: Level }),
    more?: QueryOptions & { readonly level?: Level },
  ): Promise<Row[]> {
    const options = (typeof query === 'string' ? more : (given as typeof more)) ?? {}
    const parameters = typeof query === 'string' ? ownParameters((given ?? []) as readonly unknown[]) : null
    if (parameters === null) return (await this.#built(query as CompilableQuery<Row>, options)) as Row[]
    const database = options.database ?? this.#core.onlyDatabase()
    return (await this.#rows({ database, sql: query as string, parameters }, options)) as Row[]
  }

  /** Rows are kept as the database gives them; plugins of Kysely, which may change them in place, get copies. */
  async #built(query: CompilableQuery<unknown>, options: QueryOptions & { readonly level?: Level }): Promise<unknown> {
    const { compiled, ...plain } = this.#core.compile(query)
    if (!hasPlugins(compiled)) return await this.#rows(plain, options)
    const rows = await this.#rows(plain, { ...options, values: 'cloned' })
    return await finishRows(compiled, rows as unknown[])
  }

  async #rows(query: Query, options: QueryOptions & { readonly level?: Level }): Promise<unknown> {
    const { source, id } = this.#core.querySource(query, options)
    const found = await this.#core.lookups.find(source, query, id, this.#at(options), this.#parent)
    return this.#told('query', found)
  }

  async touch(name: string, options: { readonly in?: Transaction<any> } = {}): Promise<void> {
    if (typeof name !== 'string' || name === '') {
      throw new FourfoldError('FF_CACHE_KEY', `touch: expected a name, got ${JSON.stringify(name)}`)
    }
    await this.#core.touch(name, this.#scope, options.in)
  }

  async explain<K extends Key, Value>(object: ObjectDefinition<K, Value>, key: K): Promise<Explanation> {
    const source = this.#core.sourceOf(object)
    return await this.#core.explain(source, source.prefix + canonicalKey(key, source.name), this.#scope)
  }

  status(): string {
    return this.#status.toString()
  }

  metrics(): Readonly<Record<string, SourceMetrics>> {
    return this.#core.metrics.snapshot()
  }

  streams(): Readonly<Record<string, CachedStream | null>> {
    return this.#core.streams()
  }

  async #find(source: CountedSource, key: Key, id: string, options: GetOptions | undefined): Promise<unknown> {
    const { lookups } = this.#core
    if (options?.in !== undefined)
      return (await lookups.loadOnly(this.#core.inside(source, options.in), [key], [id], this.#scope))[0]
    const found = await lookups.find(source, key, id, this.#at(options), this.#parent)
    this.#core.remember(id, found)
    return this.#told(source.name, found)
  }

  #told(name: string, { value, from, missed, entry }: Found): unknown {
    this.#status.add(name, from, missed, entry)
    return value
  }

  #at(options: { readonly level?: Level } | undefined): Scope {
    return options?.level === undefined ? this.#scope : this.#scope.onceAt(options.level)
  }
}
