/**
 * The redis driver, for Redis and Valkey. Records, tokens and leases are hashes under a prefix; every change that
 * reads before it writes is a Lua script on one key.
 *
 * Redis keeps less than the embedded store: what it acknowledged it may lose when it restarts or fails over. Its
 * incarnation changes then, and whoever relies on tokens must look at it after having read one.
 */

import { silentLogger, type Logger } from '../../core/log.ts'
import { redactUrl } from '../../core/redact-url.ts'
import type { Epoch, Lsn } from '../../engines/position.ts'
import {
  bytesOf,
  checkBudget,
  checkCount,
  checkKey,
  checkLsn,
  checkTtl,
  checkWait,
  expectationPairs,
  fieldPairs,
} from '../arguments.ts'
import { readWhenNew } from '../following.ts'
import type {
  Lease,
  RecordUpdate,
  Registration,
  RegistryEntry,
  RegistryView,
  Spending,
  Store,
  StoredToken,
  StoreFields,
  StreamPage,
  StreamReadOptions,
  UpdateResult,
} from '../store.ts'
import { RedisCaller } from './caller.ts'
import { adoptRedis, dialBeside, dialRedis, type RedisArgument, type RedisClientLike } from './connection.ts'
import * as scripts from './scripts.ts'
import { StreamSignals } from './stream-signals.ts'

export interface RedisStoreOptions {
  /** `redis://` or `rediss://`, with user, password and database number where needed. */
  readonly url?: string
  /** A node-redis client instead of an address. It stays the caller's: it is never closed here. */
  readonly client?: RedisClientLike
  readonly deadlineMs: number
  /** Put before every key. Default: `'fourfold:'`. */
  readonly prefix?: string
  readonly log?: Logger
}

/** A store in a Redis or Valkey. It connects and reconnects by itself, unless it was given a client. */
export function createRedisStore(options: RedisStoreOptions): Store {
  const { url = 'redis://127.0.0.1:6379', client, deadlineMs, prefix = 'fourfold:', log = silentLogger } = options
  const caller = new RedisCaller({
    address: client === undefined ? redactUrl(url) : 'the given redis client',
    deadlineMs,
    log,
    dial: (dialOptions) => (client === undefined ? dialRedis(url, dialOptions) : adoptRedis(client, dialOptions)),
  })
  const signals = new StreamSignals((dialOptions) => {
    const settings = { ...dialOptions, introduce: false }
    return client === undefined ? dialRedis(url, settings) : dialBeside(client, settings)
  })
  return new RedisStore(caller, signals, prefix)
}

const twice = { repeatable: true }
const never = { repeatable: false }
const keysPerScan = 1000
/** Streams of which it is known how far they were read. */
const mostEnds = 1000

class RedisStore implements Store {
  readonly driver = 'redis'
  private readonly caller: RedisCaller
  private readonly signals: StreamSignals
  /** Of streams that are followed: how far the last page went. */
  private readonly ends = new Map<string, number>()
  private readonly prefix: string

  constructor(caller: RedisCaller, signals: StreamSignals, prefix: string) {
    this.caller = caller
    this.signals = signals
    this.prefix = prefix
  }

  incarnation(): string | Promise<string> {
    return this.caller.incarnation()
  }

  async read(key: string): Promise<StoreFields | null> {
    const flat = await this.caller.command<Buffer[]>(['HGETALL', this.recordKey(key)], twice)
    if (flat.length === 0) return null
    const fields: [string, Uint8Array][] = []
    for (const [name, value] of pairsOf(flat)) {
      if (name !== scripts.markerField) fields.push([name.slice(scripts.fieldPrefix.length), value])
    }
    return Object.fromEntries(fields)
  }

  async create(key: string, fields: StoreFields, options: { readonly ttlMs: number }): Promise<boolean> {
    checkTtl(options.ttlMs)
    const args = [String(options.ttlMs), ...prefixed(fieldPairs(fields))]
    return (await this.caller.script<number>(scripts.createScript, this.recordKey(key), args, never)) === 1
  }

  async update(key: string, change: RecordUpdate): Promise<UpdateResult> {
    if (change.ttlMs !== undefined) checkTtl(change.ttlMs)
    const expect = expectationPairs(change.expect)
    const remove = change.remove ?? []
    const args: RedisArgument[] = [String(change.ttlMs ?? ''), String(expect.length), String(remove.length)]
    for (const [name, value] of expect) args.push(scripts.fieldPrefix + name, value === null ? '0' : '1', value ?? '')
    for (const name of remove) args.push(scripts.fieldPrefix + name)
    args.push(...prefixed(fieldPairs(change.set)))
    const result = await this.caller.script<Buffer>(scripts.updateScript, this.recordKey(key), args, never)
    return result.toString() as UpdateResult
  }

  async delete(key: string): Promise<boolean> {
    return (await this.caller.command<number>(['DEL', this.recordKey(key)], never)) === 1
  }

  /** Each step of the scan has a deadline of its own: it goes over all keys of the Redis, others' too. */
  async list(prefix: string, options: { readonly limit?: number } = {}): Promise<readonly string[]> {
    const limit = options.limit ?? 1000
    const start = this.recordKey(prefix)
    const pattern = `${start.replace(/[\\*?[\]]/g, '\\$&')}*`
    const found = new Set<string>()
    let cursor = '0'
    do {
      const scan = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(keysPerScan)]
      const [next, keys] = await this.caller.command<[Buffer, Buffer[]]>(scan, twice)
      for (const key of keys) if (found.size < limit) found.add(key.toString().slice(start.length - prefix.length))
      cursor = next.toString()
    } while (cursor !== '0' && found.size < limit)
    return [...found]
  }

  async raiseToken(key: string, epoch: Epoch, lsn: Lsn, ttlMs: number): Promise<void> {
    checkLsn(lsn)
    checkTtl(ttlMs)
    const args = [String(ttlMs), epoch, String(lsn)]
    await this.caller.script(scripts.raiseTokenScript, this.tokenKey(key), args, twice)
  }

  async readToken(key: string): Promise<StoredToken | null> {
    const flat = await this.caller.command<Buffer[]>(['HGETALL', this.tokenKey(key)], twice)
    if (flat.length === 0) return null
    return { parts: Object.fromEntries(pairsOf(flat).map(([epoch, lsn]) => [epoch, Number(lsn.toString())])) }
  }

  async replaceToken(
    key: string,
    seen: StoredToken,
    next: { readonly epoch: Epoch; readonly lsn: Lsn },
    ttlMs: number,
  ): Promise<boolean> {
    checkLsn(next.lsn)
    checkTtl(ttlMs)
    const parts = Object.entries(seen.parts).flatMap(([epoch, lsn]) => [epoch, String(lsn)])
    const args = [String(ttlMs), next.epoch, String(next.lsn), ...parts]
    return (await this.caller.script<number>(scripts.replaceTokenScript, this.tokenKey(key), args, never)) === 1
  }

  async acquireLease(key: string, holder: string, ttlMs: number): Promise<Lease | null> {
    checkTtl(ttlMs)
    const args = [String(ttlMs), holder]
    const fence = await this.caller.script<Buffer | null>(scripts.acquireLeaseScript, this.leaseKey(key), args, twice)
    return fence === null ? null : { key, holder, fence: Number(fence.toString()) }
  }

  async renewLease(lease: Lease, ttlMs: number): Promise<boolean> {
    checkTtl(ttlMs)
    const args = [String(ttlMs), lease.holder, String(lease.fence)]
    return (await this.caller.script<number>(scripts.renewLeaseScript, this.leaseKey(lease.key), args, twice)) === 1
  }

  async releaseLease(lease: Lease): Promise<void> {
    const args = [lease.holder, String(lease.fence)]
    await this.caller.script(scripts.releaseLeaseScript, this.leaseKey(lease.key), args, never)
  }

  async register(group: string, id: string, value: Uint8Array, ttlMs: number): Promise<Registration> {
    checkKey(id)
    checkTtl(ttlMs)
    const args = [fieldOf(id), String(ttlMs), bytesOf('the value', value)]
    const fence = await this.caller.script<Buffer>(scripts.registerScript, this.groupKey(group), args, twice)
    return { group, id, fence: Number(fence.toString()) }
  }

  async renewRegistration({ group, id, fence }: Registration, ttlMs: number, value?: Uint8Array): Promise<boolean> {
    checkTtl(ttlMs)
    const args: RedisArgument[] = [fieldOf(id), String(fence), String(ttlMs)]
    if (value !== undefined) args.push(bytesOf('the value', value))
    return (await this.caller.script<number>(scripts.renewRegistrationScript, this.groupKey(group), args, twice)) === 1
  }

  async withdraw({ group, id, fence }: Registration): Promise<void> {
    await this.caller.script(scripts.withdrawScript, this.groupKey(group), [fieldOf(id), String(fence)], never)
  }

  async readRegistry(group: string, seen = ''): Promise<RegistryView | null> {
    type Answer = [Buffer, Buffer[]] | null
    const answer = await this.caller.script<Answer>(scripts.readRegistryScript, this.groupKey(group), [seen], twice)
    if (answer === null) return null
    const entries: RegistryEntry[] = []
    for (let at = 0; at + 2 < answer[1].length; at += 3) {
      const [id, fence, value] = answer[1].slice(at) as [Buffer, Buffer, Buffer]
      entries.push({ id: id.toString().slice(scripts.fieldPrefix.length), fence: Number(fence.toString()), value })
    }
    return { version: answer[0].toString(), entries }
  }

  async appendToStream(
    stream: string,
    value: Uint8Array,
    options: { readonly maxEntries: number; readonly ttlMs: number },
  ): Promise<number> {
    checkCount(options.maxEntries, 1)
    checkTtl(options.ttlMs)
    const args = [String(options.ttlMs), String(options.maxEntries), bytesOf('the value', value)]
    const number = await this.caller.script<Buffer>(scripts.appendScript, this.streamKey(stream), args, never)
    return Number(number.toString())
  }

  async readStream(stream: string, after: number, options: StreamReadOptions = {}): Promise<StreamPage> {
    const { limit = 1000, waitMs = 0 } = options
    checkCount(after)
    checkCount(limit)
    checkWait(waitMs)
    const read = (): Promise<StreamPage> => this.readPage(stream, after, limit)
    const wait = (leftMs: number): Promise<StreamPage | null> =>
      this.signals.wait(this.streamKey(stream), after, leftMs, limit)
    const page = await readWhenNew(
      read,
      after,
      waitMs,
      wait,
      waitMs > 0 && this.signals.steady && this.ends.get(stream) === after,
    )
    if (waitMs > 0) this.remember(stream, page.entries.at(-1)?.number ?? page.last)
    return page
  }

  private remember(stream: string, end: number): void {
    if (this.ends.size >= mostEnds) this.ends.clear()
    this.ends.set(stream, end)
  }

  private async readPage(stream: string, after: number, limit: number): Promise<StreamPage> {
    const args = [String(after), String(limit)]
    const [oldest, newest, flat] = await this.caller.script<[Buffer, Buffer, Buffer[]]>(
      scripts.readStreamScript,
      this.streamKey(stream),
      args,
      twice,
    )
    const last = Number(newest.toString())
    const entries = pairsOf(flat).map(([number, bytes]) => ({ number: Number(number), value: bytes }))
    return { entries, last, gap: after > 0 && (after < Number(oldest.toString()) - 1 || after > last) }
  }

  async spend(key: string, costMs: number, capacityMs: number): Promise<Spending> {
    checkBudget(costMs, capacityMs)
    const args = [String(costMs), String(capacityMs)]
    const answer = await this.caller.script<[number, number]>(scripts.spendScript, this.budgetKey(key), args, never)
    return { granted: answer[0] === 1, leftMs: answer[1] }
  }

  async ping(): Promise<void> {
    await this.caller.command(['PING'], twice)
  }

  close(): Promise<void> {
    this.signals.close()
    return this.caller.close()
  }

  // One letter for the kind: a record, a token and a lease may have the same key.
  private recordKey(key: string): string {
    checkKey(key)
    return `${this.prefix}r:${key}`
  }

  private tokenKey(key: string): string {
    checkKey(key)
    return `${this.prefix}t:${key}`
  }

  private groupKey(group: string): string {
    checkKey(group)
    return `${this.prefix}g:${group}`
  }

  private streamKey(stream: string): string {
    checkKey(stream)
    return `${this.prefix}s:${stream}`
  }

  private budgetKey(key: string): string {
    checkKey(key)
    return `${this.prefix}b:${key}`
  }

  private leaseKey(key: string): string {
    checkKey(key)
    return `${this.prefix}l:${key}`
  }
}

function pairsOf(flat: readonly Buffer[]): [string, Buffer][] {
  const pairs: [string, Buffer][] = []
  for (let at = 0; at + 1 < flat.length; at += 2) pairs.push([flat[at]!.toString(), flat[at + 1]!])
  return pairs
}

/** An id of the registry as a field of its group's hash. */
function fieldOf(id: string): string {
  return scripts.fieldPrefix + id
}

function prefixed(pairs: readonly (readonly [string, Buffer])[]): RedisArgument[] {
  return pairs.flatMap(([name, value]) => [scripts.fieldPrefix + name, value])
}
