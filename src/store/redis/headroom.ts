/**
 * Whether a Redis has room for a cache. One that evicts nothing (as the store's must) refuses sessions when it is full,
 * and a cache fills whatever it may: so it stops at three quarters. One that evicts makes room by itself.
 */

import { infoValue, type RedisConnection } from './connection.ts'

const mostOfMemory = 0.75

export class Headroom {
  private readonly everyMs: number
  private roomy = true
  private askedMs = -Infinity

  constructor(everyMs: number) {
    this.everyMs = everyMs
  }

  /** From an answer not older than that. Who may not ask for INFO has room. */
  async ask(connection: RedisConnection): Promise<boolean> {
    const nowMs = performance.now()
    if (nowMs - this.askedMs > this.everyMs) {
      this.askedMs = nowMs
      this.roomy = await connection.send<Buffer>(['INFO', 'memory']).then(hasRoom, () => true)
    }
    return this.roomy
  }
}

function hasRoom(answer: Buffer): boolean {
  const info = answer.toString()
  const maxBytes = Number(infoValue(info, 'maxmemory'))
  if (infoValue(info, 'maxmemory_policy') !== 'noeviction' || maxBytes === 0) return true
  return Number(infoValue(info, 'used_memory')) < maxBytes * mostOfMemory
}
