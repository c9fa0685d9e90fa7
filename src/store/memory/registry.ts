/**
 * The embedded store's registry: entries of groups, each under a lease of its own. A part of the state machine in
 * `state.ts`, whose invariants hold here too.
 *
 * A group's version is the greatest revision among its living entries, and their number. Revisions rise and none is
 * given twice, so of the entries up to a revision there are ever fewer, never others: both numbers name one set.
 */

import type { Effect } from './effects.ts'

export interface HeldEntry {
  readonly group: string
  readonly id: string
  readonly fence: number
  /** Rises with the value: of the same counter as fences. */
  readonly revision: number
  readonly value: Uint8Array
  expiresAt: number
}

/** What the parts of the state machine have from the whole. */
export interface Keeper {
  /** Wall clock in milliseconds that does not go back. */
  now(): number
  /** Greater than every fence before. */
  nextFence(): number
  emit(effect: Effect): void
}

export type RegistryAnswer = readonly [string, readonly (readonly [string, number, Uint8Array])[]]

export class Registry {
  readonly table: Map<string, HeldEntry> = new Map()
  private readonly keeper: Keeper

  constructor(keeper: Keeper) {
    this.keeper = keeper
  }

  register(group: string, id: string, value: Uint8Array, ttlMs: number): number {
    const fence = this.keeper.nextFence()
    this.put({ group, id, fence, revision: fence, value, expiresAt: this.keeper.now() + ttlMs })
    return fence
  }

  renew(group: string, id: string, fence: number, ttlMs: number, value: Uint8Array | null): boolean {
    const held = this.held(group, id, fence)
    if (held === undefined) return false
    const expiresAt = this.keeper.now() + ttlMs
    this.put(value === null ? { ...held, expiresAt } : { ...held, expiresAt, value, revision: this.keeper.nextFence() })
    return true
  }

  withdraw(group: string, id: string, fence: number): true {
    if (this.held(group, id, fence) === undefined) return true
    this.table.delete(tableKey(group, id))
    this.keeper.emit(['withdrawn', group, id])
    return true
  }

  /** Null: still the version that was seen. */
  read(group: string, seen: string | null): RegistryAnswer | null {
    const now = this.keeper.now()
    const alive = [...this.table.values()].filter((held) => held.group === group && held.expiresAt > now)
    const newest = alive.reduce((greatest, { revision }) => Math.max(greatest, revision), 0)
    const version = `${newest}.${alive.length}`
    return version === seen ? null : [version, alive.map(({ id, fence, value }) => [id, fence, value])]
  }

  replay(held: HeldEntry): void {
    this.table.set(tableKey(held.group, held.id), held)
  }

  replayWithdrawn(group: string, id: string): void {
    this.table.delete(tableKey(group, id))
  }

  private held(group: string, id: string, fence: number): HeldEntry | undefined {
    const held = this.table.get(tableKey(group, id))
    return held !== undefined && held.fence === fence && held.expiresAt > this.keeper.now() ? held : undefined
  }

  private put(held: HeldEntry): void {
    this.replay(held)
    this.keeper.emit(registeredEffect(held))
  }
}

export function registeredEffect({ group, id, fence, revision, value, expiresAt }: HeldEntry): Effect {
  return ['registered', group, id, fence, revision, expiresAt, value]
}

/** One text for two, which no other two make. */
function tableKey(group: string, id: string): string {
  return JSON.stringify([group, id])
}
