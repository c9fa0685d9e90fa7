/** The second tier of the cache in the embedded store's process, over a connection of its own. */

import { randomUUID } from 'node:crypto'

import type { Logger } from '../../core/log.ts'
import { bytesOf, checkKey, checkTtl } from '../arguments.ts'
import { maxTierValueBytes, type CacheTier } from '../tier.ts'
import { createSocketTransport } from './client.ts'
import type { Operation } from './operations.ts'
import { createLocalTransport, type Transport } from './transport.ts'

/** A tier of this process alone: for tests and scripts. */
export function openMemoryTier(): CacheTier {
  return new MemoryTier(createLocalTransport(randomUUID()))
}

/** A tier in the embedded store of this machine. It connects and reconnects by itself. */
export function createMemoryTier(options: { socketPath: string; deadlineMs: number; log: Logger }): CacheTier {
  return new MemoryTier(createSocketTransport(options))
}

class MemoryTier implements CacheTier {
  readonly driver = 'memory'
  readonly maxValueBytes: number = maxTierValueBytes
  private readonly transport: Transport

  constructor(transport: Transport) {
    this.transport = transport
  }

  async getMany(keys: readonly string[]): Promise<(Uint8Array | null)[]> {
    keys.forEach(checkKey)
    return (await this.ask(['tierGet', keys])) as (Uint8Array | null)[]
  }

  async set(key: string, value: Uint8Array, ttlMs: number): Promise<void> {
    checkKey(key)
    checkTtl(ttlMs)
    const bytes = bytesOf('the value', value)
    await this.ask(bytes.length > maxTierValueBytes ? ['tierDelete', key] : ['tierSet', key, bytes, ttlMs])
  }

  async delete(key: string): Promise<void> {
    checkKey(key)
    await this.ask(['tierDelete', key])
  }

  async ping(): Promise<void> {
    await this.ask(['ping'])
  }

  close(): Promise<void> {
    return this.transport.close()
  }

  private ask(operation: Operation): Promise<unknown> {
    return this.transport.execute(operation)
  }
}
