/**
 * The embedded store's leases: one holder at a time, under a fence that rises with every new one. A part of the state
 * machine in `state.ts`, whose invariants hold here too.
 */

import type { Effect } from './effects.ts'
import type { Keeper } from './registry.ts'

interface HeldLease {
  readonly holder: string
  readonly fence: number
  expiresAt: number
}

export class Leases {
  readonly table: Map<string, HeldLease> = new Map()
  private readonly keeper: Keeper

  constructor(keeper: Keeper) {
    this.keeper = keeper
  }

  acquire(key: string, holder: string, ttlMs: number): number | null {
    const held = this.alive(key)
    if (held !== undefined && held.holder !== holder) return null
    const fence = held?.fence ?? this.keeper.nextFence()
    this.put(key, { holder, fence, expiresAt: this.keeper.now() + ttlMs })
    return fence
  }

  renew(key: string, holder: string, fence: number, ttlMs: number): boolean {
    const held = this.alive(key)
    if (held === undefined || held.holder !== holder || held.fence !== fence) return false
    this.put(key, { holder, fence, expiresAt: this.keeper.now() + ttlMs })
    return true
  }

  release(key: string, holder: string, fence: number): true {
    const held = this.alive(key)
    if (held === undefined || held.holder !== holder || held.fence !== fence) return true
    this.table.delete(key)
    this.keeper.emit(['released', key])
    return true
  }

  private put(key: string, held: HeldLease): void {
    this.table.set(key, held)
    this.keeper.emit(leaseEffect(key, held))
  }

  private alive(key: string): HeldLease | undefined {
    const held = this.table.get(key)
    return held !== undefined && held.expiresAt > this.keeper.now() ? held : undefined
  }
}

export function leaseEffect(key: string, held: HeldLease): Effect {
  return ['lease', key, held.holder, held.fence, held.expiresAt]
}
