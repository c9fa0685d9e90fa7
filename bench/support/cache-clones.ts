/**
 * One process's worth of each contender. All run the same loads, written against a pool as an app has them; what differs
 * is who keeps the answers. The peers are set up as their documentation has it for the same job.
 */

import KeyvRedis from '@keyv/redis'
import { BentoCache, bentostore } from 'bentocache'
import { memoryDriver } from 'bentocache/drivers/memory'
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis'
import { createCache } from 'cache-manager'
import { defineObject, type ObjectDefinition } from 'fourfold'
import { Keyv } from 'keyv'
import type pg from 'pg'

import { openClone, type CacheApp, type CacheGround } from './cache-ground.ts'

type Queries = Pick<pg.Pool, 'query'>

/** What is cached, told apart from how. */
export interface Thing<Value = unknown> {
  readonly name: string
  readonly load: (pool: Queries, key: number) => Promise<Value>
  readonly loadMany?: (pool: Queries, keys: readonly number[]) => Promise<ReadonlyMap<number, Value>>
  /** The column that holds the key. */
  readonly keyColumn?: string
}

export interface CachedThing<Value = unknown> {
  get(key: number): Promise<Value | null | undefined>
  getMany(keys: readonly number[]): Promise<readonly unknown[]>
  /** What whoever has written does afterwards, and waits for. */
  forget(key: number): Promise<unknown>
}

export interface CacheClone {
  of<Value>(thing: Thing<Value>): CachedThing<Value>
  stop(): Promise<unknown>
}

/** Where entries are kept: in the process and in Redis, or in Redis alone. */
export type Tiers = 'both' | 'redis'
export type StartClone = (ground: CacheGround, tiers: Tiers) => Promise<CacheClone>

const ttlMs = 600_000
const nothingToForget = (): Promise<void> => Promise.resolve()

export function noCacheClone({ pool }: CacheGround): Promise<CacheClone> {
  const of = <Value>({ load, loadMany }: Thing<Value>): CachedThing<Value> => ({
    get: (key) => load(pool, key),
    getMany: async (keys) => {
      if (loadMany === undefined) return await Promise.all(keys.map((key) => load(pool, key)))
      const found = await loadMany(pool, keys)
      return keys.map((key) => found.get(key))
    },
    forget: nothingToForget,
  })
  return Promise.resolve({ of, stop: nothingToForget })
}

/**
 * By reference (`serialize: false`) is the documentation's way to speed: everybody gets the same value. With Redis behind
 * it, release 1.6.1 fails at the second read of an entry that came from there, so only hits are measured by it.
 */
export function bentocacheClone(way: 'serialized' | 'by reference'): StartClone {
  return ({ pool, servers }, tiers) => {
    const { hostname: host, port } = new URL(servers.redisUrl)
    const connection = { host, port: Number(port) }
    const serialize = way === 'serialized'
    const shared = bentostore().useL2Layer(redisDriver({ connection }))
    const store =
      tiers === 'redis'
        ? shared
        : shared.useL1Layer(memoryDriver({ maxItems: 100_000, serialize })).useBus(redisBusDriver({ connection }))
    const cache = new BentoCache({ default: 'main', prefix: way, stores: { main: store } })
    const of = <Value>({ name, load }: Thing<Value>): CachedThing<Value> => {
      const get = (key: number): Promise<Value> =>
        cache.getOrSet({ key: `${name}:${key}`, ttl: ttlMs, factory: () => load(pool, key) })
      return {
        get,
        // It has none of its own.
        getMany: (keys) => Promise.all(keys.map(get)),
        forget: (key) => cache.delete({ key: `${name}:${key}` }),
      }
    }
    return Promise.resolve({ of, stop: () => cache.disconnectAll() })
  }
}

/** In the process without serialising, as the store is that it makes itself. */
export function cacheManagerClone({ pool, servers }: CacheGround, tiers: Tiers): Promise<CacheClone> {
  const memory = new Keyv()
  memory.serialize = undefined
  memory.deserialize = undefined
  const shared = new Keyv({ store: new KeyvRedis(servers.redisUrl) })
  const cache = createCache({ ttl: ttlMs, stores: tiers === 'redis' ? [shared] : [memory, shared] })
  const of = <Value>({ name, load, loadMany }: Thing<Value>): CachedThing<Value> => ({
    get: (key) => cache.wrap(`${name}:${key}`, () => load(pool, key)),
    getMany: async (keys) => {
      const found = await cache.mget<unknown>(keys.map((key) => `${name}:${key}`))
      const missing = keys.filter((_, at) => found[at] === undefined)
      if (missing.length === 0 || loadMany === undefined) return found
      const loaded = await loadMany(pool, missing)
      await cache.mset(missing.map((key) => ({ key: `${name}:${key}`, value: loaded.get(key) })))
      return keys.map((key, at) => found[at] ?? loaded.get(key))
    },
    forget: (key) => cache.del(`${name}:${key}`),
  })
  return Promise.resolve({ of, stop: () => cache.disconnect() })
}

export interface FourfoldClone extends CacheClone {
  readonly ff: CacheApp
}

/** For one reader at `session`, as in a request: the token is read once, and again each second. */
export async function fourfoldClone({ servers }: CacheGround, tiers: Tiers): Promise<FourfoldClone> {
  const ff = await openClone(servers, tiers === 'redis' ? { memory: 0 } : { memory: 512 * 1024 * 1024 })
  const { cache } = ff.as({ reader: 'user:bench', level: 'session', keepToken: true })
  const of = <Value>(thing: Thing<Value>): CachedThing<Value> => {
    const object = objectOf(thing)
    return {
      get: (key) => cache.get(object, key),
      getMany: (keys) => cache.getMany(object, keys),
      forget: nothingToForget,
    }
  }
  return { of, ff, stop: () => ff.close() }
}

const objects = new WeakMap<Thing, ObjectDefinition>()

export function objectOf<Value>(thing: Thing<Value>): ObjectDefinition<number, Value> {
  const known = objects.get(thing)
  if (known !== undefined) return known
  const { name, load, loadMany, keyColumn } = thing
  const batch = loadMany && {
    loadMany: ({ main }: any, keys: readonly number[]) => loadMany(main.pool, keys),
    ...(keyColumn === undefined ? {} : { loadManyBy: keyColumn }),
  }
  const object = defineObject<number, Value>({ name, load: ({ main }: any, key) => load(main.pool, key), ...batch })
  objects.set(thing, object)
  return object
}

/** Reads until entries are kept that depend on rows alone: a table has to join what is followed first. */
export async function untilKept(ff: CacheApp, thing: Thing, key: number): Promise<void> {
  const object = objectOf(thing)
  const { cache } = ff.as({ reader: 'user:bench', level: 'session' })
  const deadlineMs = performance.now() + 30_000
  for (;;) {
    await cache.get(object, key)
    const { verdict, parts } = await cache.explain(object, key)
    if (verdict === 'fresh' && parts.every(({ wholeTables }) => wholeTables.length === 0)) return
    if (performance.now() > deadlineMs) throw new Error(`${thing.name} ${key} is not kept after 30 s: ${verdict}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
