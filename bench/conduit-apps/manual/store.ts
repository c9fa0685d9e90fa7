/**
 * What a team without Fourfold writes: cache-aside in Redis. Each function below that reads names its keys, each that
 * writes names the keys that are over by it. Everything also ends by itself after five minutes.
 */
import type { createClient } from 'redis'
import type { Executor } from '../../../examples/conduit/src/schema.ts'

export type Redis = ReturnType<typeof createClient>

const ttlSeconds = 300

export class Store {
  readonly db: Executor
  readonly redis: Redis
  hits = 0
  misses = 0

  constructor(db: Executor, redis: Redis) {
    this.db = db
    this.redis = redis
    stores.set(db, this)
  }

  /** One value; what is null is not kept. */
  async remember<T>(key: string, load: () => Promise<T | null>): Promise<T | null> {
    const known = await this.redis.get(key)
    if (known !== null) {
      this.hits += 1
      return JSON.parse(known)
    }
    this.misses += 1
    const value = await load()
    if (value !== null) await this.redis.set(key, JSON.stringify(value), { EX: ttlSeconds })
    return value
  }

  /** Several values in one round trip, and one statement for what is missing. */
  async rememberMany<T>(
    prefix: string,
    ids: readonly number[],
    load: (missing: number[]) => Promise<ReadonlyMap<number, T>>,
  ): Promise<(T | null)[]> {
    if (ids.length === 0) return []
    const known = await this.redis.mGet(ids.map((id) => `${prefix}:${id}`))
    const values = new Map<number, T>()
    for (const [index, text] of known.entries()) if (text !== null) values.set(ids[index]!, JSON.parse(text))
    this.hits += values.size
    const missing = [...new Set(ids)].filter((id) => !values.has(id))
    this.misses += missing.length
    if (missing.length > 0) {
      const loaded = await load(missing)
      const setting = [...loaded].map(([id, value]) => {
        values.set(id, value)
        return this.redis.set(`${prefix}:${id}`, JSON.stringify(value), { EX: ttlSeconds })
      })
      await Promise.all(setting)
    }
    return ids.map((id) => values.get(id) ?? null)
  }

  /** A page of a list and its count: fields of one hash, so that one DEL ends all pages of the list. */
  async rememberPage(
    list: string,
    page: string,
    load: () => Promise<{ ids: number[]; total: number }>,
  ): Promise<{ ids: number[]; total: number }> {
    const [ids, total] = await this.redis.hmGet(list, [page, 'total'])
    if (ids !== null && ids !== undefined && total !== null && total !== undefined) {
      this.hits += 1
      return { ids: JSON.parse(ids), total: Number(total) }
    }
    this.misses += 1
    const loaded = await load()
    const fields = { [page]: JSON.stringify(loaded.ids), total: String(loaded.total) }
    await Promise.all([this.redis.hSet(list, fields), this.redis.expire(list, ttlSeconds)])
    return loaded
  }

  async forget(...keys: readonly string[]): Promise<void> {
    if (keys.length > 0) await this.redis.del([...keys])
  }
}

const stores = new WeakMap<Executor, Store>()

/** The store beside a database: writes are handed the database only. */
export function storeOf(db: Executor): Store {
  const store = stores.get(db)
  if (store === undefined) throw new Error('expected a database that a store was made for')
  return store
}
