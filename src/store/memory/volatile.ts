/**
 * The embedded store's part of the cache's second tier: values that are in no log and go when their place is needed,
 * the one used least lately first. Beside the state machine, since nothing here is an effect.
 */

import type { VolatileOperation } from './operations.ts'

interface Held {
  readonly value: Uint8Array
  readonly bytes: number
  readonly expiresAt: number
}

/** What an entry costs beside its key and value: measured for a Map of small buffers. */
const overheadBytes = 250

export const volatileBytes: number = 64 * 1024 * 1024
/** Half of what a frame takes. What is beyond counts as gone. */
const maxAnswerBytes = 32 * 1024 * 1024

export class VolatileValues {
  /** In the order of their last use. */
  private readonly table = new Map<string, Held>()
  private readonly maxBytes: number
  private bytes = 0
  private answeredBytes = 0

  constructor(maxBytes: number = volatileBytes) {
    this.maxBytes = maxBytes
  }

  /** To be called before the operations whose answers are one frame. */
  beginAnswer(): void {
    this.answeredBytes = 0
  }

  execute(operation: VolatileOperation): unknown {
    switch (operation[0]) {
      case 'tierGet':
        return operation[1].map((key) => this.get(key))
      case 'tierSet':
        return this.set(operation[1], operation[2], operation[3])
      case 'tierDelete':
        return this.remove(operation[1])
    }
  }

  private get(key: string): Uint8Array | null {
    const held = this.table.get(key)
    if (held === undefined || this.answeredBytes + held.value.length > maxAnswerBytes) return null
    this.table.delete(key)
    if (held.expiresAt <= performance.now()) {
      this.bytes -= held.bytes
      return null
    }
    this.table.set(key, held)
    this.answeredBytes += held.value.length
    return held.value
  }

  private set(key: string, value: Uint8Array, ttlMs: number): true {
    this.remove(key)
    const bytes = value.length + 2 * key.length + overheadBytes
    this.table.set(key, { value, bytes, expiresAt: performance.now() + ttlMs })
    this.bytes += bytes
    for (const [oldest] of this.table) {
      if (this.bytes <= this.maxBytes) break
      this.remove(oldest)
    }
    return true
  }

  private remove(key: string): true {
    const held = this.table.get(key)
    if (held !== undefined) this.bytes -= held.bytes
    this.table.delete(key)
    return true
  }
}
