/**
 * The embedded store's records: fields under a key, changed one by one. A part of the state machine in `state.ts`, whose
 * invariants hold here too.
 */

import type { Effect } from './effects.ts'
import type { Pair } from './operations.ts'
import type { Keeper } from './registry.ts'
import type { UpdateResult } from '../store.ts'

interface HeldRecord {
  readonly fields: Map<string, Uint8Array>
  expiresAt: number
}

export class Records {
  readonly table: Map<string, HeldRecord> = new Map()
  private readonly keeper: Pick<Keeper, 'now' | 'emit'>

  constructor(keeper: Pick<Keeper, 'now' | 'emit'>) {
    this.keeper = keeper
  }

  read(key: string): Pair<Uint8Array>[] | null {
    const held = this.alive(key)
    return held === undefined ? null : [...held.fields]
  }

  create(key: string, fields: readonly Pair<Uint8Array>[], ttlMs: number): boolean {
    if (this.alive(key) !== undefined) return false
    const held = { expiresAt: this.keeper.now() + ttlMs, fields: new Map(fields) }
    this.table.set(key, held)
    this.keeper.emit(recordEffect(key, held))
    return true
  }

  update(
    key: string,
    set: readonly Pair<Uint8Array>[],
    remove: readonly string[],
    expect: readonly Pair<Uint8Array | null>[],
    ttlMs: number | null,
  ): UpdateResult {
    const held = this.alive(key)
    if (held === undefined) return 'missing'
    if (!expect.every(([name, bytes]) => sameBytes(held.fields.get(name) ?? null, bytes))) return 'conflict'
    const expiresAt = ttlMs === null ? held.expiresAt : this.keeper.now() + ttlMs
    this.replayFields(key, expiresAt, set, remove)
    this.keeper.emit(['fields', key, expiresAt, set, remove])
    return 'updated'
  }

  delete(key: string): boolean {
    const existed = this.alive(key) !== undefined
    this.table.delete(key)
    if (existed) this.keeper.emit(['gone', key])
    return existed
  }

  list(prefix: string, limit: number): string[] {
    const now = this.keeper.now()
    const keys: string[] = []
    for (const [key, held] of this.table) {
      if (keys.length >= limit) break
      if (held.expiresAt > now && key.startsWith(prefix)) keys.push(key)
    }
    return keys
  }

  replayFields(key: string, expiresAt: number, set: readonly Pair<Uint8Array>[], remove: readonly string[]): void {
    const held = this.table.get(key)
    if (held === undefined) return
    for (const name of remove) held.fields.delete(name)
    for (const [name, bytes] of set) held.fields.set(name, bytes)
    held.expiresAt = expiresAt
  }

  private alive(key: string): HeldRecord | undefined {
    const held = this.table.get(key)
    return held !== undefined && held.expiresAt > this.keeper.now() ? held : undefined
  }
}

export function recordEffect(key: string, held: HeldRecord): Effect {
  return ['record', key, held.expiresAt, [...held.fields]]
}

function sameBytes(left: Uint8Array | null, right: Uint8Array | null): boolean {
  if (left === null || right === null) return left === right
  return Buffer.compare(left, right) === 0
}
