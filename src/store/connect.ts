/** From an address to a store. Drivers are loaded when they are asked for, and not before. */

import { FourfoldError } from '../core/errors.ts'
import { silentLogger, type Logger } from '../core/log.ts'
import { redactUrl } from '../core/redact-url.ts'
import { createMemoryStore } from './memory/memory-store.ts'
import type { PostgresAddress } from '../engines/postgres/address.ts'
import type { Store } from './store.ts'

/** How long an operation may take unless the configuration says otherwise. */
export const defaultDeadlineMs = 250

export interface ConnectStoreOptions {
  /** `unix:/path/store.sock` for the embedded store, `redis://` or `rediss://` for Redis and Valkey, `postgres://` for PostgreSQL. */
  readonly url: string
  /** The PostgreSQL server itself, in place of `url`: with what no URL can say, such as TLS options. */
  readonly address?: PostgresAddress
  /** Milliseconds that every operation has. Default: 250. */
  readonly deadlineMs?: number
  /** Put before every key, where a Redis is shared with others. Default: `'fourfold:'`. Only for redis. */
  readonly prefix?: string
  readonly log?: Logger
}

/**
 * Connects to a store. A store that does not answer is no error here: it is tried again until it does, and
 * operations are rejected meanwhile, so that a clone can start without it.
 *
 * @throws FF_STORE_ADDRESS when the address is of no known kind
 * @example const store = await connectStore({ url: 'redis://127.0.0.1:6379', deadlineMs: 250 })
 */
export async function connectStore(options: ConnectStoreOptions): Promise<Store> {
  const { url, deadlineMs = defaultDeadlineMs, log = silentLogger } = options
  if (url.startsWith('unix:')) return createMemoryStore({ socketPath: url.slice('unix:'.length), deadlineMs, log })
  if (/^rediss?:\/\//.test(url)) {
    const { createRedisStore } = await import('./redis/redis-store.ts')
    return createRedisStore({
      url,
      deadlineMs,
      log,
      ...(options.prefix === undefined ? {} : { prefix: options.prefix }),
    })
  }
  if (options.address !== undefined || /^postgres(?:ql)?:/.test(url)) {
    const { createSqlStore } = await import('./sql/sql-store.ts')
    return createSqlStore({ address: options.address ?? url, deadlineMs, log })
  }
  throw new FourfoldError(
    'FF_STORE_ADDRESS',
    `store.url: expected unix:/path/store.sock, redis://host:port, rediss://host:port or postgres://…; got ${redactUrl(url)}`,
  )
}
