/**
 * What a load is given: databases whose reads are recorded, or that are a transaction; other objects; joins. Loads are
 * many, so whatever is the same for all of an app is made once, and the rest when it is first asked for.
 */

import { createDatabase, createRoutedDatabase, type Database } from '../database/database.ts'
import { FourfoldError } from '../core/errors.ts'
import { createJoin, type JoinParts } from './join/create-join.ts'
import { loadInTurn } from './loads.ts'
import { createObjectSource, type MakeTools } from './object-source.ts'
import { canonicalKey, type Key } from './keys.ts'

import type { Clusters } from './checks.ts'
import type { LoadContext, ObjectDefinition } from './define-object.ts'
import type { Entry } from './entry.ts'
import type { JoinFunction } from './join/types.ts'
import type { Found } from './lookups.ts'
import type { LoadOptions, Source } from './source.ts'
import type { RecordedReads } from '../database/recorded-reads.ts'
import type { Transaction } from 'kysely'

export interface LoadToolsOptions {
  /** In the order of the app's definition. */
  readonly clusters: Clusters
  readonly reads: ReadonlyMap<string, RecordedReads>
  /** Names the app's code. */
  readonly build: string
  readonly sourceOf: (object: ObjectDefinition) => Source<Key>
  readonly find: (source: Source<Key>, keys: readonly Key[], load: LoadOptions) => Promise<readonly Found[]>
  /** Whether an entry is, as far as this process knows, what the databases hold. */
  readonly isFresh: (entry: Entry) => boolean
  /** Whose stream tells of touches. */
  readonly touchDatabase: () => string | null
}

type Tools = ReturnType<MakeTools>

/** Tools for one load after the other. All of them are the object's own, so that a load may take it apart as it likes. */
export function createMakeTools(options: LoadToolsOptions): MakeTools {
  const names = [...options.clusters.keys()]
  return (load) => {
    const context = recordingContext(options, load)
    const tools: Record<string, unknown> = {}
    for (const name of names) {
      let made: Database<unknown> | null = null
      const get = (): Database<unknown> => (made ??= recordingDatabase(options, name, load))
      Object.defineProperty(tools, name, { enumerable: true, configurable: true, get })
    }
    const { use, useMany, dependsOn } = context
    const join = joinOf(options, tools, useMany, { recorded: true })
    // Defined and not assigned: a database may have one of these names.
    for (const [name, value] of Object.entries({ use, useMany, dependsOn, join })) {
      Object.defineProperty(tools, name, { enumerable: true, configurable: true, value })
    }
    return tools as Tools
  }
}

/** @throws FF_CACHE_QUERY */
export function recordingDatabase(
  { clusters, reads }: Pick<LoadToolsOptions, 'clusters' | 'reads'>,
  database: string,
  { scope, recording }: LoadOptions,
): Database<unknown> {
  const known = reads.get(database)
  if (known !== undefined) return createRoutedDatabase(known.router(scope, recording))
  const names = [...clusters.keys()].join(', ')
  throw new FourfoldError('FF_CACHE_QUERY', `There is no database ${database}: expected one of ${names}`)
}

function recordingContext(options: LoadToolsOptions, load: LoadOptions): LoadContext {
  const { recording } = load
  const find = async (object: ObjectDefinition, keys: readonly Key[]): Promise<readonly Found[]> => {
    const found = await options.find(options.sourceOf(object), keys, load)
    for (const { entry } of found) {
      if (entry === null) recording.refuse('a part of it could not be kept')
      else recording.nest(entry, options.isFresh(entry))
    }
    return found
  }
  return {
    use: async (object, key) => (await find(object as ObjectDefinition, [key]))[0]!.value as never,
    useMany: async (object, keys) => (await find(object as ObjectDefinition, keys)).map(({ value }) => value as never),
    dependsOn: (name) => recording.dependsOn(name, options.touchDatabase()),
  }
}

/** Inside a transaction: its database is the transaction, other databases are as they are for the scope. */
export function createToolsInside(
  options: LoadToolsOptions,
  transaction: Transaction<any>,
  database: string,
): MakeTools {
  const { clusters, build } = options
  const make: MakeTools = ({ scope, ...load }) => {
    const databases: Record<string, unknown> = {}
    for (const [name, cluster] of clusters) {
      databases[name] = name === database ? transaction : createDatabase(cluster, scope)
    }
    const useMany: LoadContext['useMany'] = async (object, keys) => {
      const source = createObjectSource(object, build, make)
      const ids = keys.map((key) => source.prefix + canonicalKey(key, source.name))
      return (await loadInTurn<Key>(source, keys, ids, { scope, ...load })) as never
    }
    const context: LoadContext = {
      use: async (object, key) => (await useMany(object, [key]))[0]!,
      useMany,
      dependsOn: () => undefined,
    }
    return Object.assign(databases, context, { join: joinOf(options, databases, useMany, { oneByOne: true }) })
  }
  return make
}

/** For one load: it reads through the load's own databases. */
function joinOf(
  { clusters }: LoadToolsOptions,
  databases: Readonly<Record<string, unknown>>,
  useMany: LoadContext['useMany'],
  how: Pick<JoinParts, 'recorded' | 'oneByOne'>,
): JoinFunction<unknown> {
  return createJoin({
    names: [...clusters.keys()],
    databases,
    getMany: (object, keys) => useMany(object, keys),
    ...how,
  })
}
