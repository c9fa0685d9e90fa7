/** From an address to a second tier of the cache. Drivers are loaded when they are asked for, and not before. */

import { FourfoldError } from '../core/errors.ts'
import { silentLogger, type Logger } from '../core/log.ts'
import { redactUrl } from '../core/redact-url.ts'
import { defaultDeadlineMs } from './connect.ts'
import { createMemoryTier } from './memory/memory-tier.ts'
import { noTier, type CacheTier } from './tier.ts'

export interface ConnectTierOptions {
  /** `unix:/path/store.sock` for the embedded store, `redis://`, `rediss://`, `memcached://`, or `none`. */
  readonly url: string
  /** Milliseconds that every call has. Default: 250. */
  readonly deadlineMs?: number
  /** Put before every key, where a server is shared with others. Default: `'fourfold:'`. */
  readonly prefix?: string
  readonly log?: Logger
}

/**
 * Connects to a tier. One that does not answer is no error here: it is tried again until it does, and calls are rejected
 * meanwhile.
 *
 * @throws FF_STORE_ADDRESS when the address is of no known kind
 * @example const tier = await connectTier({ url: 'memcached://127.0.0.1:11211' })
 */
export async function connectTier(options: ConnectTierOptions): Promise<CacheTier> {
  const { url, deadlineMs = defaultDeadlineMs, log = silentLogger, ...rest } = options
  if (url === 'none') return noTier
  if (url.startsWith('unix:')) return createMemoryTier({ socketPath: url.slice('unix:'.length), deadlineMs, log })
  if (/^rediss?:\/\//.test(url)) {
    const { createRedisTier } = await import('./redis/redis-tier.ts')
    return createRedisTier({ ...rest, url, deadlineMs, log })
  }
  if (url.startsWith('memcached:')) {
    const { createMemcachedTier } = await import('./memcached/memcached-tier.ts')
    return createMemcachedTier({ ...rest, url, deadlineMs, log })
  }
  throw new FourfoldError(
    'FF_STORE_ADDRESS',
    `cache.tierUrl: expected redis://host:port, rediss://host:port, memcached://host:port or none; got ${redactUrl(url)}`,
  )
}
