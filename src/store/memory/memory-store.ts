/** The memory driver: the store's interface as operations on a state machine, wherever that machine is. */

import { randomUUID } from 'node:crypto'
import type { Logger } from '../../core/log.ts'
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
import type {
  Lease,
  RecordUpdate,
  Registration,
  RegistryView,
  Spending,
  Store,
  StoredToken,
  StoreFields,
  StreamPage,
  StreamReadOptions,
  UpdateResult,
} from '../store.ts'
import { createSocketTransport } from './client.ts'
import { machineMs, type Operation, type Pair } from './operations.ts'
import type { RegistryAnswer } from './registry.ts'
import type { StreamAnswer } from './streams.ts'
import { createLocalTransport, type Transport } from './transport.ts'

/** A store of this process alone, kept nowhere: for tests and scripts. */
export function openMemoryStore(): Store {
  return new MemoryStore(createLocalTransport(randomUUID()))
}

/** A store in another process of this machine. It connects and reconnects by itself. */
export function createMemoryStore(options: { socketPath: string; deadlineMs: number; log: Logger }): Store {
  return new MemoryStore(createSocketTransport(options))
}

class MemoryStore implements Store {
  readonly driver = 'memory'
  private readonly transport: Transport

  constructor(transport: Transport) {
    this.transport = transport
  }

  incarnation(): string | Promise<string> {
    return this.transport.incarnation()
  }

  async read(key: string): Promise<StoreFields | null> {
    checkKey(key)
    const pairs = await this.ask<readonly Pair<Uint8Array>[] | null>(['read', key])
    return pairs === null ? null : Object.fromEntries(pairs)
  }

  async create(key: string, fields: StoreFields, options: { readonly ttlMs: number }): Promise<boolean> {
    checkKey(key)
    checkTtl(options.ttlMs)
    return this.ask(['create', key, fieldPairs(fields), options.ttlMs])
  }

  async update(key: string, change: RecordUpdate): Promise<UpdateResult> {
    checkKey(key)
    if (change.ttlMs !== undefined) checkTtl(change.ttlMs)
    const expect = expectationPairs(change.expect)
    return this.ask(['update', key, fieldPairs(change.set), change.remove ?? [], expect, change.ttlMs ?? null])
  }

  async delete(key: string): Promise<boolean> {
    checkKey(key)
    return this.ask(['delete', key])
  }

  async list(prefix: string, options: { readonly limit?: number } = {}): Promise<readonly string[]> {
    checkKey(prefix)
    return this.ask(['list', prefix, options.limit ?? 1000])
  }

  async raiseToken(key: string, epoch: Epoch, lsn: Lsn, ttlMs: number): Promise<void> {
    checkKey(key)
    checkLsn(lsn)
    checkTtl(ttlMs)
    await this.ask(['raiseToken', key, epoch, lsn, ttlMs])
  }

  async readToken(key: string): Promise<StoredToken | null> {
    checkKey(key)
    const parts = await this.ask<readonly Pair<number>[] | null>(['readToken', key])
    return parts === null ? null : { parts: Object.fromEntries(parts) }
  }

  async replaceToken(
    key: string,
    seen: StoredToken,
    next: { readonly epoch: Epoch; readonly lsn: Lsn },
    ttlMs: number,
  ): Promise<boolean> {
    checkKey(key)
    checkLsn(next.lsn)
    checkTtl(ttlMs)
    return this.ask(['replaceToken', key, Object.entries(seen.parts), next.epoch, next.lsn, ttlMs])
  }

  async acquireLease(key: string, holder: string, ttlMs: number): Promise<Lease | null> {
    checkKey(key)
    checkTtl(ttlMs)
    const fence = await this.ask<number | null>(['acquireLease', key, holder, ttlMs])
    return fence === null ? null : { key, holder, fence }
  }

  async renewLease(lease: Lease, ttlMs: number): Promise<boolean> {
    checkTtl(ttlMs)
    return this.ask(['renewLease', lease.key, lease.holder, lease.fence, ttlMs])
  }

  async releaseLease(lease: Lease): Promise<void> {
    await this.ask(['releaseLease', lease.key, lease.holder, lease.fence])
  }

  async register(group: string, id: string, value: Uint8Array, ttlMs: number): Promise<Registration> {
    checkKey(group)
    checkKey(id)
    checkTtl(ttlMs)
    const fence = await this.ask<number>(['register', group, id, bytesOf('the value', value), ttlMs])
    return { group, id, fence }
  }

  async renewRegistration({ group, id, fence }: Registration, ttlMs: number, value?: Uint8Array): Promise<boolean> {
    checkTtl(ttlMs)
    const bytes = value === undefined ? null : bytesOf('the value', value)
    return this.ask(['renewRegistration', group, id, fence, ttlMs, bytes])
  }

  async withdraw({ group, id, fence }: Registration): Promise<void> {
    await this.ask(['withdraw', group, id, fence])
  }

  async readRegistry(group: string, seen?: string): Promise<RegistryView | null> {
    checkKey(group)
    const answer = await this.ask<RegistryAnswer | null>(['readRegistry', group, seen ?? null])
    if (answer === null) return null
    return { version: answer[0], entries: answer[1].map(([id, fence, value]) => ({ id, fence, value })) }
  }

  async appendToStream(
    stream: string,
    value: Uint8Array,
    options: { readonly maxEntries: number; readonly ttlMs: number },
  ): Promise<number> {
    checkKey(stream)
    checkCount(options.maxEntries, 1)
    checkTtl(options.ttlMs)
    return this.ask(['appendToStream', stream, bytesOf('the value', value), options.maxEntries, options.ttlMs])
  }

  async readStream(stream: string, after: number, options: StreamReadOptions = {}): Promise<StreamPage> {
    const { limit = 1000, waitMs = 0 } = options
    checkKey(stream)
    checkCount(after)
    checkCount(limit)
    checkWait(waitMs)
    const operation: Operation =
      waitMs === 0 ? ['readStream', stream, after, limit] : ['followStream', stream, after, limit, machineMs() + waitMs]
    const [entries, last, gap] = await this.ask<StreamAnswer>(operation)
    return { entries: entries.map(([number, value]) => ({ number, value })), last, gap }
  }

  async spend(key: string, costMs: number, capacityMs: number): Promise<Spending> {
    checkKey(key)
    checkBudget(costMs, capacityMs)
    const [granted, leftMs] = await this.ask<readonly [boolean, number]>(['spend', key, costMs, capacityMs])
    return { granted, leftMs }
  }

  async ping(): Promise<void> {
    await this.ask(['ping'])
  }

  close(): Promise<void> {
    return this.transport.close()
  }

  private async ask<T>(operation: Operation): Promise<T> {
    return (await this.transport.execute(operation)) as T
  }
}
