/**
 * The second tier of the cache: a plain key-value server that all clones share. What is read from it is checked by
 * whoever reads it, so a tier may lose, forget and repeat anything; it must not invent.
 *
 * Semantics that hold for every driver:
 * - Values may vanish at any time, and nothing is durable. A value is one that somebody set under exactly this key,
 *   not necessarily the last one, and never half of one.
 * - A value is gone when its time to live is over: at once, or after two seconds where the server counts in seconds.
 * - Every call has a deadline (that of the store). When it passes, the promise rejects with `FF_STORE_DEADLINE`; a refused
 *   connection rejects with `FF_STORE_UNAVAILABLE`. Nothing is queued for a server that is away.
 * - Commands name one key each, several go in one write: a cluster that spreads keys over servers would do.
 * - Keys are any text. Values are bytes. A value above `maxValueBytes` is not stored, and that is no error; what was
 *   stored under its key before is gone then.
 * - `close` may be called twice; calls after it reject with `FF_CORE_CLOSED`.
 */
export interface CacheTier {
  readonly driver: 'memory' | 'redis' | 'memcached' | 'none'
  /** Larger values are not stored. May become known, and smaller, with the first connection. */
  readonly maxValueBytes: number
  /** For each key its value, or null. In one round trip. */
  getMany(keys: readonly string[]): Promise<(Uint8Array | null)[]>
  /** @param ttlMs whole milliseconds, more than 0 */
  set(key: string, value: Uint8Array, ttlMs: number): Promise<void>
  delete(key: string): Promise<void>
  /** Resolves when the server answers; rejects with the driver's error otherwise. */
  ping(): Promise<void>
  close(): Promise<void>
}

/** What drivers store at most, unless their server takes less. */
export const maxTierValueBytes: number = 4 * 1024 * 1024

/** The tier of an app that has none: it keeps nothing. */
export const noTier: CacheTier = {
  driver: 'none',
  maxValueBytes: 0,
  getMany: async (keys) => keys.map(() => null),
  set: async () => undefined,
  delete: async () => undefined,
  ping: async () => undefined,
  close: async () => undefined,
}
