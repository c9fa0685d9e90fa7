/** The live instance of an app, and its view for one reader. */

import { ScopedCache, type Cache } from '../cache/cache.ts'
import { createJoin } from '../cache/join/create-join.ts'
import { createBakingParts } from '../pages/baking-instance.ts'
import { refusePersonal, type RouteBake } from '../pages/route-bakes.ts'
import { createDatabase, type Database } from '../database/database.ts'
import { fixedReader, type ReaderSource } from '../freshness/reader.ts'
import { Scope } from '../freshness/scope.ts'

import type { CacheCore } from '../cache/core.ts'
import type { JoinFunction } from '../cache/join/types.ts'
import type { Baking } from './baking.ts'
import type { ResolvedConfig } from './config.ts'
import type { AppDefinition } from './define-app.ts'
import type { Logger } from '../core/log.ts'
import type { Cluster } from '../database/cluster.ts'
import type { Files } from '../files/files.ts'
import type { Jobs } from '../jobs/jobs.ts'
import type { Level } from '../freshness/level.ts'
import type { Pages } from '../pages/pages.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Store } from '../store/store.ts'

export type Schemas = Readonly<Record<string, any>>

export type Databases<S extends Schemas> = { readonly [Name in keyof S]: Database<S[Name]> }

export interface AsOptions {
  /** Who reads: a key such as `user:7`, a source of one, or null for nobody. Absent: as before. */
  readonly reader?: string | ReaderSource | null
  /** The level of reads. Absent: as before, or each database's own where a reader is named. */
  readonly level?: Level
  /** Reads the primary for everything. */
  readonly pinned?: boolean
  /** Reads the reader's token once and keeps it, as befits one request. Default: before every read. */
  readonly keepToken?: boolean
}

/** An opened app. Everything that reads or writes for somebody is made from it by {@link Fourfold.as}. */
export interface Fourfold<S extends Schemas = Schemas> {
  /** The databases by name: Kysely instances, each with a `pool`. */
  readonly databases: Databases<S>
  /** Cached objects and queries, as fresh as this reader's own last write. */
  readonly cache: Cache
  /** Joins rows with the objects and rows that belong to them, in one step for each field and level. */
  readonly join: JoinFunction<S>
  /** The pages that are baked in advance. */
  readonly pages: Pages
  /** Jobs, ordered and asked for as this reader. */
  readonly jobs: Jobs
  /** Bakes pages and objects ahead of demand: what workers do. */
  readonly baking: Baking
  readonly store: Store
  readonly sessions: Sessions
  /** Uploads and profile pictures, in a central place. */
  readonly files: Files
  readonly log: Logger
  readonly config: ResolvedConfig
  /** Who reads here and how. The root's scope is nobody at `strict`. */
  readonly scope: Scope
  readonly identify: AppDefinition<any>['identify']
  /** The routing beneath each database: counts, positions, tokens. */
  readonly clusters: Readonly<Record<string, Cluster>>

  /** The same app for another reader or level; or runs `work` with it. */
  as(options: AsOptions): Fourfold<S>
  as<Result>(options: AsOptions, work: (ff: Fourfold<S>) => Promise<Result>): Promise<Result>

  /** Carries the freshness of one reader over to another: at login, logout and changes of id. False: unsettled. */
  carryTokens(from: string, to: string): Promise<boolean>

  /** For a route that is asked by a bake: its reads are recorded by that. Adapters ask for it. */
  forBake(bake: RouteBake): Fourfold<S>

  /** Stops everything that opening started. May be called twice. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** What all scopes of one opened app share. */
export interface Root {
  readonly clusters: Readonly<Record<string, Cluster>>
  readonly databasesOf: DatabasesOf
  readonly filesOf: (scope: Scope) => Files
  readonly cache: CacheCore
  readonly pages: Pages
  readonly baking: Baking
  readonly jobsOf: (scope: Scope) => Jobs
  readonly store: Store
  readonly sessions: Sessions
  readonly log: Logger
  readonly config: ResolvedConfig
  readonly identify: AppDefinition<any>['identify']
  readonly close: () => Promise<void>
}

/** The instance for one scope. */
export function createInstance<S extends Schemas>(root: Root, scope: Scope): Fourfold<S> {
  const { clusters, pages, baking, store, sessions, log, config, identify, close } = root
  const as = (options: AsOptions, work?: (ff: Fourfold<S>) => Promise<unknown>): unknown => {
    const instance = createInstance<S>(root, deriveScope(scope, options))
    return work === undefined ? instance : work(instance)
  }
  let files: Files | null = null
  let jobs: Jobs | null = null
  let cache: Cache | null = null
  let join: JoinFunction<S> | null = null
  return {
    databases: root.databasesOf(scope),
    get cache() {
      return (cache ??= new ScopedCache(root.cache, scope))
    },
    get join() {
      return (join ??= createScopedJoin(this.databases, Object.keys(clusters), this.cache))
    },
    pages,
    get jobs() {
      return (jobs ??= root.jobsOf(scope))
    },
    baking,
    store,
    sessions,
    // Made when it is first asked for: most requests have nothing to do with files.
    get files() {
      return (files ??= root.filesOf(scope))
    },
    log,
    config,
    scope,
    identify,
    clusters,
    as: as as Fourfold<S>['as'],
    carryTokens: async (from, to) => {
      const carried = await Promise.all(Object.values(clusters).map((cluster) => cluster.tokens.carry(from, to)))
      return carried.every(Boolean)
    },
    forBake: (bake) => ({
      ...createInstance<S>(root, bake.load.scope),
      ...(createBakingParts(root.cache, Object.keys(clusters), bake) as Pick<
        Fourfold<S>,
        'databases' | 'cache' | 'join'
      >),
      as: (() => {
        throw refusePersonal(bake, 'ff.as')
      }) as never,
    }),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function createScopedJoin<S extends Schemas>(
  databases: Databases<S>,
  names: readonly string[],
  cache: Cache,
): JoinFunction<S> {
  return createJoin({
    names,
    databases,
    getMany: (object, keys, transaction) => cache.getMany(object, keys, transaction && { in: transaction }),
  })
}

function deriveScope(scope: Scope, options: AsOptions): Scope {
  const { reader, level, pinned, keepToken } = options
  if (reader === undefined && pinned === undefined && keepToken === undefined)
    return scope.atLevel(level ?? scope.level)
  return new Scope({
    level: level ?? (reader === undefined ? scope.level : undefined),
    reader: reader === undefined ? scope.reader : typeof reader === 'string' ? fixedReader(reader) : reader,
    pinned: pinned ?? (reader === undefined && scope.pinned),
    keepToken: keepToken ?? false,
    parent: scope,
  })
}

/** Makes the `databases` of one scope. */
export type DatabasesOf = (scope: Scope) => Databases<any>

/**
 * Each database's instance is made when it is first asked for: a request that reads none pays for none. The names are
 * the same for all scopes, so their getters are made once.
 */
export function createDatabasesOf(clusters: Readonly<Record<string, Cluster>>): DatabasesOf {
  class ScopedDatabases {
    readonly #scope: Scope
    readonly #made = new Map<string, Database<any>>()

    constructor(scope: Scope) {
      this.#scope = scope
    }

    static {
      for (const [name, cluster] of Object.entries(clusters)) {
        const get = function (this: ScopedDatabases): Database<any> {
          let known = this.#made.get(name)
          if (known === undefined) this.#made.set(name, (known = createDatabase(cluster, this.#scope)))
          return known
        }
        Object.defineProperty(this.prototype, name, { enumerable: true, get })
      }
    }
  }
  return (scope) => new ScopedDatabases(scope) as unknown as Databases<any>
}
