/** The cache of one opened app: what all readers share. */

import { FourfoldError } from '../core/errors.ts'
import { originOf, runInside, transactionOrigin } from '../database/kysely-dialect.ts'
import { ownParameters } from '../database/parameters.ts'
import { templateParts } from '../freshness/changes/hash.ts'
import { canonicalKey, ownKey, type Key } from './keys.ts'
import { Checks, type Clusters } from './checks.ts'
import { Fills, type FillLimits } from './fills.ts'
import { createMakeTools, createToolsInside, recordingDatabase, type LoadToolsOptions } from './load-tools.ts'
import { Lookups, type EntryMemory, type Found } from './lookups.ts'
import { Metrics, type SourceMetrics } from './metrics.ts'
import { createObjectSource, type MakeTools } from './object-source.ts'
import { rememberQuick, type QuickEntries, type QuickEntry } from './quick-hits.ts'
import { Refresher } from './refresher.ts'
import { createQuerySource, type CompilableQuery, type Query } from './query-source.ts'

import type { CacheableClass } from './classes.ts'
import type { SharedEntries } from './shared-entries.ts'
import type { ObjectDefinition } from './define-object.ts'
import type { Entry, MissReason } from './entry.ts'
import type { ExplainedPart, Explanation } from './explain.ts'
import type { KeptEntry, LoadOptions, Source } from './source.ts'
import type { Logger } from '../core/log.ts'
import type { RecordedReads } from '../database/recorded-reads.ts'
import type { EntryPart } from '../freshness/changes/recorder.ts'
import type { StreamStatus } from '../freshness/changes/follower.ts'
import type { Scope } from '../freshness/scope.ts'
import type { Store } from '../store/store.ts'
import type { CompiledQuery, Transaction } from 'kysely'

export interface CacheOptions {
  /** In the order of the app's definition. */
  readonly clusters: Clusters
  readonly reads: ReadonlyMap<string, RecordedReads>
  readonly memory: EntryMemory
  readonly shared: SharedEntries
  readonly store: Store
  /** Names the app's code. */
  readonly build: string
  /** Names this process. */
  readonly holder: string
  /** Known from the start: their names are checked against each other. */
  readonly objects?: readonly ObjectDefinition[]
  readonly limits?: FillLimits
  /** For loads that nobody waits for: nobody's, strict. */
  readonly refreshScope: Scope
  readonly onKept?: (kept: KeptEntry) => Promise<void>
  readonly log: Logger
}

export type CountedSource = Source<Key> & { readonly counts: SourceMetrics; readonly quick: QuickEntries }

export interface CachedStream extends StreamStatus {
  /** How old what is known may be, in ms: since the newest position query that the watermark has reached was sent. */
  readonly lagMs: number | null
}

interface Miss {
  readonly reason: MissReason
  readonly atMs: number
}

const maxRememberedMisses = 1_000
const touchSql = `select pg_logical_emit_message(true, 'fourfold:touch', $1::text)`

export class CacheCore {
  readonly memory: EntryMemory
  readonly checks: Checks
  readonly lookups: Lookups
  readonly metrics: Metrics = new Metrics()
  readonly #options: CacheOptions
  readonly #sources = new WeakMap<ObjectDefinition, CountedSource>()
  readonly #names = new Map<string, ObjectDefinition>()
  readonly #refresher: Refresher
  readonly #tools: LoadToolsOptions
  /** Makes what the load of an entry of this app is given. */
  readonly makeTools: MakeTools
  readonly #misses = new Map<string, Miss>()
  readonly querySource: ReturnType<typeof createQuerySource>

  constructor(options: CacheOptions) {
    const { clusters, memory, shared, log, build } = options
    this.#options = options
    this.memory = memory
    this.checks = new Checks(clusters)
    this.#refresher = new Refresher(log, () => this.#messages())
    const fills = new Fills(options.limits)
    const { checks, metrics } = this
    this.lookups = new Lookups({ ...options, checks, memory, shared, fills, metrics })
    this.querySource = createQuerySource(
      build,
      (database) => clusters.get(database)?.identity ?? '',
      (database, load) => recordingDatabase(options, database, load),
    )
    this.#tools = {
      ...{ clusters, reads: options.reads, build },
      sourceOf: (object) => this.sourceOf(object),
      find: (source, keys, load) => this.#use(source, keys, load),
      isFresh: (entry) => this.checks.staleness(entry) === null,
      touchDatabase: () => this.#touchDatabase(),
    }
    this.makeTools = createMakeTools(this.#tools)
    for (const object of options.objects ?? []) this.sourceOf(object)
  }

  get shared(): SharedEntries {
    return this.#options.shared
  }

  /** Whether there is a tier that other processes find entries in. */
  get shares(): boolean {
    return this.#options.shared.present
  }

  /** @throws FF_CACHE_OBJECT where the definition is wrong, or its name is another's */
  sourceOf(object: ObjectDefinition): CountedSource {
    const known = this.#sources.get(object)
    if (known !== undefined) return known
    const source = createObjectSource(object, this.#options.build, this.makeTools)
    const other = this.#names.get(source.name)
    if (other !== undefined && other !== object) {
      const message = `Two cached objects are called ${source.name}: expected a name of its own for each`
      throw new FourfoldError('FF_CACHE_OBJECT', message, { fields: { name: source.name } })
    }
    if (object.type !== undefined) this.#options.shared.register(source.name, object.type as CacheableClass)
    for (const [name, type] of Object.entries(object.classes ?? {})) {
      this.#options.shared.register(`${name} of ${source.name}`, type as CacheableClass)
    }
    this.#names.set(source.name, object)
    const counted = { ...source, counts: this.metrics.of(source.name), quick: new Map() }
    this.#sources.set(object, counted)
    return counted
  }

  /** @throws FF_CACHE_QUERY, FF_CACHE_IN_TRANSACTION */
  compile(query: CompilableQuery<unknown>): Query & { readonly compiled: CompiledQuery } {
    const compiled = typeof query?.compile === 'function' ? query.compile() : null
    const origin = compiled && originOf(compiled as CompiledQuery)
    if (compiled === null || origin === null) {
      const message =
        'expected a query of one of ff.databases, or SQL text with its parameters; what was given was compiled elsewhere'
      throw new FourfoldError('FF_CACHE_QUERY', `ff.cache.query: ${message}`)
    }
    if (origin.inTransaction) {
      const message =
        'A query that was made inside a transaction sees what is not committed yet, and the cache does not: run it there, or make it from ff.databases'
      throw new FourfoldError('FF_CACHE_IN_TRANSACTION', message, { fields: { database: origin.database } })
    }
    const { sql } = compiled
    const parameters = ownParameters(compiled.parameters)
    return { database: origin.database, sql, parameters, compiled: compiled as CompiledQuery }
  }

  /** @throws FF_CACHE_QUERY */
  onlyDatabase(): string {
    const names = [...this.#options.clusters.keys()]
    const only = names.length === 1 ? names[0] : names.find((name) => name === 'main')
    if (only !== undefined) return only
    const message = `ff.cache.query: expected the option database, one of ${names.join(', ')}, as none is called main`
    throw new FourfoldError('FF_CACHE_QUERY', message)
  }

  /** The source with its load inside a transaction. */
  inside(source: Source<Key>, transaction: Transaction<any>): Source<Key> {
    const object = this.#names.get(source.name)
    const origin = transactionOrigin(transaction)
    if (object === undefined || origin === null || !origin.inTransaction) {
      const message = 'in: expected a transaction of one of ff.databases'
      throw new FourfoldError('FF_CACHE_IN_TRANSACTION', message)
    }
    return createObjectSource(object, this.#options.build, createToolsInside(this.#tools, transaction, origin.database))
  }

  /** Tells the change stream that what stands behind a name has changed. */
  async touch(name: string, scope: Scope, transaction: Transaction<any> | undefined): Promise<void> {
    const database = this.#touchDatabase()
    // Nothing that depends on a name is kept without a stream.
    if (database === null) return
    if (transaction === undefined) {
      await this.#options.clusters.get(database)!.run(scope, touchSql, [name])
      return
    }
    const origin = transactionOrigin(transaction)
    if (origin?.database !== database || !origin.inTransaction) {
      const message = `touch in: expected a transaction of database ${database}, whose stream tells of touches`
      throw new FourfoldError('FF_CACHE_IN_TRANSACTION', message)
    }
    await runInside(transaction, touchSql, [name])
  }

  /** Counts a hit in this process and hands it out; the next one is found the shortest way. */
  handOut(source: CountedSource, key: Key, entry: Entry): unknown {
    source.counts.hits.memory += 1
    if (source.values === 'frozen') rememberQuick(source.quick, key, entry, this.#options.clusters)
    return this.memory.handOut(entry, source.values)
  }

  /** Counts a hit that was found the shortest way; what is in use is kept longer, and loaded ahead. */
  useQuick(source: CountedSource, key: Key, quick: QuickEntry): void {
    source.counts.hits.memory += 1
    if (!quick.use()) return
    const { entry } = quick
    const id = source.prefix + canonicalKey(key, source.name)
    this.memory.get(id)
    quick.hot ??= {
      isStale: () => this.checks.staleness(entry) !== null && this.memory.get(id) === entry,
      refresh: () => this.lookups.refresh(source, key, id, this.#options.refreshScope),
    }
    this.#refresher.use(quick.hot)
  }

  remember(id: string, { missed }: Found): void {
    if (missed === null) return
    this.#misses.delete(id)
    this.#misses.set(id, { reason: missed, atMs: Date.now() })
    if (this.#misses.size > maxRememberedMisses) this.#misses.delete(this.#misses.keys().next().value!)
  }

  async explain(source: Source<Key>, id: string, scope: Scope): Promise<Explanation> {
    const held = this.memory.get(id) ?? null
    const entry = held ?? (await this.#options.shared.getMany([id]))[0]?.head ?? null
    const miss = this.#misses.get(id)
    const nowMs = Date.now()
    return {
      name: source.name,
      id,
      tier: entry === null ? null : held === null ? 'shared' : 'memory',
      verdict: entry === null ? 'absent' : await this.checks.ask(entry, scope),
      ageMs: entry && nowMs - entry.filledAtMs,
      loadMs: entry && entry.loadMs,
      expiresInMs: entry === null || entry.expiresAtMs === Infinity ? null : entry.expiresAtMs - nowMs,
      parts: (entry?.parts ?? []).map((part) => this.#explainPart(part)),
      lastMiss: miss === undefined ? null : { reason: miss.reason, agoMs: nowMs - miss.atMs },
    }
  }

  streams(): Record<string, CachedStream | null> {
    const streams: Record<string, CachedStream | null> = {}
    for (const [name, { changes, monitor }] of this.#options.clusters) {
      streams[name] = changes && { ...changes.status(), lagMs: monitor.lagMs(changes.watermark) }
    }
    return streams
  }

  async close(): Promise<void> {
    this.#refresher.close()
    await this.lookups.settle()
  }

  #explainPart({ database, epoch, asOf, dependencies }: EntryPart): ExplainedPart {
    const { tables, rows, names } = dependencies
    const reads = this.#options.reads.get(database)
    const nameOf = (oid: number): string => reads?.tableName(oid) ?? String(oid)
    return {
      database,
      epoch,
      asOf,
      watermark: this.#options.clusters.get(database)?.changes?.watermark ?? null,
      wholeTables: tables.map(nameOf),
      rows: rows.map(({ template, table, hashes }) => {
        const { columns, reads: read } = templateParts(template)
        return { table: nameOf(table), columns, reads: read, keys: hashes.length / 2 }
      }),
      names: names.length / 2,
    }
  }

  /** Other objects as part of a load. */
  async #use(
    source: Source<Key>,
    given: readonly Key[],
    { scope, fill, group }: LoadOptions,
  ): Promise<readonly Found[]> {
    const keys = given.map(ownKey)
    const ids = keys.map((key) => source.prefix + canonicalKey(key, source.name))
    if (ids.length === 1 || (group !== undefined && source.loadMany !== undefined)) {
      return await Promise.all(ids.map((id, at) => this.lookups.find<Key>(source, keys[at]!, id, scope, fill, group)))
    }
    return await this.lookups.findMany<Key>(source, keys, ids, scope, fill)
  }

  #messages(): number {
    let messages = 0
    for (const { changes } of this.#options.clusters.values()) messages += changes?.counts.messages ?? 0
    return messages
  }

  /** The first database that has a change stream: the same in every process of an app. */
  #touchDatabase(): string | null {
    for (const [name, { changes }] of this.#options.clusters) if (changes !== null) return name
    return null
  }
}
