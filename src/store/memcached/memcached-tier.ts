/**
 * The second tier of the cache in memcached. Its client (npm: memcache) speaks the text protocol with texts as values, so
 * values travel as base64; what a server takes of that is asked when a connection begins.
 */

import { createHash } from 'node:crypto'

import { FourfoldError } from '../../core/errors.ts'
import { silentLogger, type Logger } from '../../core/log.ts'
import { redactUrl } from '../../core/redact-url.ts'
import { bytesOf, checkKey, checkTtl } from '../arguments.ts'
import { Caller } from '../caller.ts'
import { maxTierValueBytes, type CacheTier } from '../tier.ts'
import { dialMemcached, isTooLarge, judgeMemcached, type MemcachedConnection } from './connection.ts'

export interface MemcachedTierOptions {
  /** `memcached://host:port` */
  readonly url: string
  readonly deadlineMs: number
  /** Put before every key. Default: `'fourfold:'`. */
  readonly prefix?: string
  readonly log?: Logger
}

/**
 * A tier in memcached. It connects and reconnects by itself.
 *
 * @throws FF_STORE_ADDRESS when the address is of no known kind
 */
export function createMemcachedTier(options: MemcachedTierOptions): CacheTier {
  return new MemcachedTier(options)
}

const twice = { repeatable: true }
const defaultPort = 11_211
const keysPerCommand = 64
/** Longer times would be taken for dates. Thirty days. */
const longestSeconds = 30 * 24 * 3600
/** Memcached takes 250 bytes of printable ASCII. */
const plainKey = /^[!-~]{1,180}$/

class MemcachedTier implements CacheTier {
  readonly driver = 'memcached'
  private readonly caller: Caller<MemcachedConnection>
  private readonly prefix: string

  constructor({ url, deadlineMs, prefix = 'fourfold:', log = silentLogger }: MemcachedTierOptions) {
    const { host, port } = addressOf(url)
    if (!/^[!-~]{0,25}$/.test(prefix))
      throw new FourfoldError('FF_STORE_ARGUMENT', 'a prefix for memcached must be at most 25 printable signs')
    this.prefix = prefix
    this.caller = new Caller({
      address: `memcached://${host}:${port}`,
      deadlineMs,
      log,
      connections: 1,
      judge: judgeMemcached,
      dial: (given) => dialMemcached({ host, port }, given),
    })
  }

  /** Of base64, which takes four bytes for three. */
  get maxValueBytes(): number {
    return Math.min(maxTierValueBytes, Math.floor((this.caller.current?.maxTextBytes ?? maxTierValueBytes) / 4) * 3)
  }

  async getMany(keys: readonly string[]): Promise<(Uint8Array | null)[]> {
    const names = keys.map((key) => this.nameOf(key))
    const found = await this.caller.call(async (connection) => {
      const parts: string[][] = []
      for (let at = 0; at < names.length; at += keysPerCommand) parts.push(names.slice(at, at + keysPerCommand))
      return Promise.all(parts.map((part) => connection.get(part)))
    }, twice)
    const values = new Map(found.flat())
    return names.map((name) => {
      const value = values.get(name)
      return value === undefined ? null : Buffer.from(value, 'base64')
    })
  }

  async set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    const name = this.nameOf(key)
    checkTtl(ttlMs)
    const bytes = bytesOf('the value', value)
    // A second more, because the first may be over at once.
    const seconds = Math.min(Math.ceil(ttlMs / 1000) + 1, longestSeconds)
    await this.caller.call(async (connection) => {
      if (bytes.length > this.maxValueBytes) return connection.delete(name)
      try {
        return await connection.set(name, bytes.toString('base64'), seconds)
      } catch (error) {
        if (!isTooLarge(error)) throw error
        return connection.delete(name)
      }
    }, twice)
  }

  async delete(key: string): Promise<void> {
    const name = this.nameOf(key)
    await this.caller.call((connection) => connection.delete(name), twice)
  }

  async ping(): Promise<void> {
    await this.caller.call((connection) => connection.ping(), twice)
  }

  close(): Promise<void> {
    return this.caller.close()
  }

  private nameOf(key: string): string {
    checkKey(key)
    if (plainKey.test(key)) return `${this.prefix}k:${key}`
    return `${this.prefix}h:${createHash('sha256').update(key).digest('base64url')}`
  }
}

function addressOf(url: string): { readonly host: string; readonly port: number } {
  const parsed = URL.canParse(url) ? new URL(url) : null
  const plain = parsed !== null && parsed.username === '' && parsed.password === '' && parsed.pathname.length <= 1
  if (plain && parsed.protocol === 'memcached:' && parsed.hostname !== '') {
    return { host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(parsed.port || defaultPort) }
  }
  throw new FourfoldError(
    'FF_STORE_ADDRESS',
    `expected memcached://host:port, without user and password; got ${redactUrl(url)}`,
  )
}
