/**
 * What a route that is baked gets as its `ff`: databases, objects and joins that record for the load which asked the
 * route. Everything that is somebody's, or that writes, is refused.
 */

import { finishRows, hasPlugins } from '../database/kysely-dialect.ts'
import { refusePersonal, type RouteBake } from './route-bakes.ts'

import type { Cache } from '../cache/cache.ts'
import type { CacheCore } from '../cache/core.ts'
import type { Key } from '../cache/keys.ts'
import type { MakeTools } from '../cache/object-source.ts'
import type { CompilableQuery } from '../cache/query-source.ts'
import type { Database } from '../database/database.ts'

export interface BakingParts {
  readonly databases: Readonly<Record<string, Database<any>>>
  readonly cache: Cache
  readonly join: unknown
}

/** @param names of the databases */
export function createBakingParts(core: CacheCore, names: readonly string[], bake: RouteBake): BakingParts {
  const tools = core.makeTools(bake.load)
  const databases: Record<string, Database<any>> = {}
  for (const name of names) {
    Object.defineProperty(databases, name, { enumerable: true, get: () => tools[name] as Database<any> })
  }
  return { databases, cache: recordingCache(core, tools, databases, bake), join: tools['join'] }
}

function recordingCache(
  core: CacheCore,
  tools: ReturnType<MakeTools>,
  databases: BakingParts['databases'],
  bake: RouteBake,
): Cache {
  const query = async (given: CompilableQuery<unknown> | string, ...more: unknown[]): Promise<never[]> => {
    if (typeof given === 'string') {
      const [parameters = [], options] = more as [unknown[]?, { database?: string }?]
      const database = databases[options?.database ?? core.onlyDatabase()]!
      return (await database.pool.query(given, parameters)).rows as never[]
    }
    const { compiled, database, sql, parameters } = core.compile(given)
    const { rows } = await databases[database]!.pool.query(sql, parameters as unknown[])
    return (hasPlugins(compiled) ? await finishRows(compiled, rows) : rows) as never[]
  }
  return {
    get: (object, key) => tools.use(object as never, key as Key) as never,
    getMany: (object, keys) => tools.useMany(object as never, keys as readonly Key[]) as never,
    query: query as Cache['query'],
    touch: () => Promise.reject(refusePersonal(bake, 'cache.touch')),
    explain: () => Promise.reject(refusePersonal(bake, 'cache.explain')),
    status: () => '',
    metrics: () => core.metrics.snapshot(),
    streams: () => core.streams(),
  }
}
