/**
 * The second tier of the cache in Redis or Valkey: plain GET, SET and DEL, on a connection of its own, so that large
 * values hold up no session.
 */

import { silentLogger, type Logger } from '../../core/log.ts'
import { redactUrl } from '../../core/redact-url.ts'
import { bytesOf, checkKey, checkTtl } from '../arguments.ts'
import { Caller } from '../caller.ts'
import { maxTierValueBytes, type CacheTier } from '../tier.ts'
import { judgeRedis } from './caller.ts'
import { dialBeside, dialRedis, type RedisClientLike, type RedisConnection } from './connection.ts'
import { Headroom } from './headroom.ts'

export interface RedisTierOptions {
  /** `redis://` or `rediss://`, with user, password and database number where needed. */
  readonly url?: string
  /** A node-redis client instead of an address: its settings are used for another connection, which is closed here. */
  readonly client?: RedisClientLike
  readonly deadlineMs: number
  /** Put before every key. Default: `'fourfold:'`. */
  readonly prefix?: string
  /** How long an answer holds whether the server has room. Default: 2,000. */
  readonly headroomMs?: number
  readonly log?: Logger
}

/** A tier in a Redis or Valkey. It connects and reconnects by itself. */
export function createRedisTier(options: RedisTierOptions): CacheTier {
  return new RedisTier(options)
}

const twice = { repeatable: true }

class RedisTier implements CacheTier {
  readonly driver = 'redis'
  readonly maxValueBytes: number = maxTierValueBytes
  private readonly caller: Caller<RedisConnection>
  private readonly headroom: Headroom
  private readonly prefix: string

  constructor(options: RedisTierOptions) {
    const { url = 'redis://127.0.0.1:6379', client, deadlineMs, prefix = 'fourfold:', log = silentLogger } = options
    this.prefix = `${prefix}c:`
    this.headroom = new Headroom(options.headroomMs ?? 2000)
    this.caller = new Caller({
      address: client === undefined ? redactUrl(url) : 'the given redis client',
      deadlineMs,
      log,
      connections: 1,
      judge: judgeRedis,
      dial: (given) => {
        const settings = { ...given, introduce: false }
        return client === undefined ? dialRedis(url, settings) : dialBeside(client, settings)
      },
    })
  }

  /** Single commands in one write: in a cluster, each key may be elsewhere. */
  async getMany(keys: readonly string[]): Promise<(Uint8Array | null)[]> {
    const names = keys.map((key) => this.nameOf(key))
    return this.caller.call(
      (connection) => Promise.all(names.map((name) => connection.send<Buffer | null>(['GET', name]))),
      twice,
    )
  }

  async set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    const name = this.nameOf(key)
    checkTtl(ttlMs)
    const bytes = bytesOf('the value', value)
    if (bytes.length > maxTierValueBytes) return this.delete(key)
    await this.caller.call(async (connection) => {
      // Removed rather than left: the new one would have taken its place.
      if (!(await this.headroom.ask(connection))) return connection.send(['DEL', name])
      return connection.send(['SET', name, bytes, 'PX', String(ttlMs)])
    }, twice)
  }

  async delete(key: string): Promise<void> {
    const name = this.nameOf(key)
    await this.caller.call((connection) => connection.send(['DEL', name]), twice)
  }

  async ping(): Promise<void> {
    await this.caller.call((connection) => connection.send(['PING']), twice)
  }

  close(): Promise<void> {
    return this.caller.close()
  }

  private nameOf(key: string): string {
    checkKey(key)
    return this.prefix + key
  }
}
