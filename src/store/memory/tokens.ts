/**
 * The embedded store's tokens: positions that only rise, by epoch. A part of the state machine in `state.ts`, whose
 * invariants hold here too.
 */

import type { Effect } from './effects.ts'
import type { Pair } from './operations.ts'
import type { Keeper } from './registry.ts'

interface HeldToken {
  readonly parts: Map<string, number>
  expiresAt: number
}

export class Tokens {
  readonly table: Map<string, HeldToken> = new Map()
  private readonly keeper: Pick<Keeper, 'now' | 'emit'>

  constructor(keeper: Pick<Keeper, 'now' | 'emit'>) {
    this.keeper = keeper
  }

  raise(key: string, epoch: string, lsn: number, ttlMs: number): true {
    const parts = this.alive(key)?.parts ?? new Map<string, number>()
    parts.set(epoch, Math.max(parts.get(epoch) ?? 0, lsn))
    this.put(key, parts, ttlMs)
    return true
  }

  read(key: string): Pair<number>[] | null {
    const held = this.alive(key)
    return held === undefined ? null : [...held.parts]
  }

  replace(key: string, seen: readonly Pair<number>[], next: Pair<number>, ttlMs: number): boolean {
    const parts = this.alive(key)?.parts
    if (parts === undefined || parts.size !== seen.length) return false
    if (!seen.every(([epoch, lsn]) => parts.get(epoch) === lsn)) return false
    this.put(key, new Map([next]), ttlMs)
    return true
  }

  private put(key: string, parts: Map<string, number>, ttlMs: number): void {
    const held = { expiresAt: this.keeper.now() + ttlMs, parts }
    this.table.set(key, held)
    this.keeper.emit(tokenEffect(key, held))
  }

  private alive(key: string): HeldToken | undefined {
    const held = this.table.get(key)
    return held !== undefined && held.expiresAt > this.keeper.now() ? held : undefined
  }
}

export function tokenEffect(key: string, held: HeldToken): Effect {
  return ['token', key, held.expiresAt, [...held.parts]]
}
