/**
 * The embedded store's state machine: five tables and one counter. It knows nothing of sockets and files; it
 * answers operations one after the other and tells every change as an effect.
 *
 * Invariants:
 * - The tables are always what replaying all effects so far would give.
 * - Fences come from one counter for all leases and registrations. It never goes back, also when a lease is long forgotten, and starts
 *   at the wall clock in microseconds, so that it does not go back either when a whole log is lost.
 * - A record past its end of life does not exist, whether or not it was swept already.
 */

import { Budgets, spentEffect } from './budgets.ts'
import type { Effect } from './effects.ts'
import type { Operation, Pair } from './operations.ts'
import { registeredEffect, Registry } from './registry.ts'
import { streamEffect, Streams } from './streams.ts'
import type { UpdateResult } from '../store.ts'

interface Mortal {
  expiresAt: number
}
interface HeldRecord extends Mortal {
  readonly fields: Map<string, Uint8Array>
}
interface HeldToken extends Mortal {
  readonly parts: Map<string, number>
}
interface HeldLease extends Mortal {
  readonly holder: string
  readonly fence: number
}

export interface StateOptions {
  /** Wall clock in milliseconds. */
  readonly now?: () => number
  /** Takes every change, in order, before the operation that made it is answered. */
  readonly emit: (effect: Effect) => void
}

export class StoreState {
  private readonly records = new Map<string, HeldRecord>()
  private readonly tokens = new Map<string, HeldToken>()
  private readonly leases = new Map<string, HeldLease>()
  private readonly registry: Registry
  private readonly streams: Streams
  private readonly budgets: Budgets
  private readonly wallClock: () => number
  private readonly emit: (effect: Effect) => void
  private readonly cursors = new Map<Map<string, Mortal>, IterableIterator<[string, Mortal]>>()
  private lastFence = 0
  private lastNow = 0

  constructor(options: StateOptions) {
    this.wallClock = options.now ?? Date.now
    this.emit = options.emit
    const keeper = { now: () => this.now(), nextFence: () => this.nextFence(), emit: options.emit }
    this.registry = new Registry(keeper)
    this.streams = new Streams(keeper)
    this.budgets = new Budgets(keeper)
  }

  /** Carries out one operation. Throws only where the operation is malformed. */
  execute(operation: Operation): unknown {
    switch (operation[0]) {
      case 'ping':
        return true
      case 'read':
        return this.read(operation[1])
      case 'create':
        return this.create(operation[1], operation[2], operation[3])
      case 'update':
        return this.update(...(operation.slice(1) as DropFirst<Extract<Operation, readonly ['update', ...unknown[]]>>))
      case 'delete':
        return this.delete(operation[1])
      case 'list':
        return this.list(operation[1], operation[2])
      case 'raiseToken':
        return this.raiseToken(operation[1], operation[2], operation[3], operation[4])
      case 'readToken':
        return this.readToken(operation[1])
      case 'replaceToken':
        return this.replaceToken(operation[1], operation[2], [operation[3], operation[4]], operation[5])
      case 'acquireLease':
        return this.acquireLease(operation[1], operation[2], operation[3])
      case 'renewLease':
        return this.renewLease(operation[1], operation[2], operation[3], operation[4])
      case 'releaseLease':
        return this.releaseLease(operation[1], operation[2], operation[3])
      case 'register':
        return this.registry.register(operation[1], operation[2], operation[3], operation[4])
      case 'renewRegistration':
        return this.registry.renew(operation[1], operation[2], operation[3], operation[4], operation[5])
      case 'withdraw':
        return this.registry.withdraw(operation[1], operation[2], operation[3])
      case 'readRegistry':
        return this.registry.read(operation[1], operation[2])
      case 'appendToStream':
        return this.streams.append(operation[1], operation[2], operation[3], operation[4])
      case 'readStream':
      case 'followStream':
        return this.streams.read(operation[1], operation[2], operation[3])
      case 'spend':
        return this.budgets.spend(operation[1], operation[2], operation[3])
      default:
        throw new TypeError('an unknown operation')
    }
  }

  /** Carries out an effect of the log, telling nobody. */
  replay(effect: Effect): void {
    if (effect[0] === 'record') this.records.set(effect[1], { expiresAt: effect[2], fields: new Map(effect[3]) })
    else if (effect[0] === 'fields') this.replayFields(effect[1], effect[2], effect[3], effect[4])
    else if (effect[0] === 'gone') this.records.delete(effect[1])
    else if (effect[0] === 'token') this.tokens.set(effect[1], { expiresAt: effect[2], parts: new Map(effect[3]) })
    else if (effect[0] === 'lease') this.replayLease(effect[1], effect[2], effect[3], effect[4])
    else if (effect[0] === 'released') this.leases.delete(effect[1])
    else if (effect[0] === 'registered') this.replayRegistered(effect)
    else if (effect[0] === 'withdrawn') this.registry.replayWithdrawn(effect[1], effect[2])
    else if (effect[0] === 'stream') this.replayStream(effect)
    else if (effect[0] === 'appended')
      this.streams.replayAppended(effect[1], effect[2], effect[3], effect[4], effect[5])
    else if (effect[0] === 'spent') this.budgets.replay(effect[1], effect[2])
    else if (effect[0] === 'fence') this.lastFence = Math.max(this.lastFence, effect[1])
  }

  /**
   * Everything that is alive, as effects, for a new log. It may be drawn in portions while operations go on, if
   * their effects are written behind the portions drawn so far: an effect on a key that was not drawn yet means
   * nothing or is overtaken by the whole record that follows. What is made meanwhile is not drawn, it is in the effects.
   */
  *snapshot(): Generator<Effect> {
    const now = this.now()
    yield ['fence', this.lastFence]
    for (const [key, held] of firstOf(this.records)) if (held.expiresAt > now) yield recordEffect(key, held)
    for (const [key, held] of firstOf(this.tokens)) if (held.expiresAt > now) yield tokenEffect(key, held)
    for (const [key, held] of firstOf(this.leases)) if (held.expiresAt > now) yield leaseEffect(key, held)
    for (const [, held] of firstOf(this.registry.table)) if (held.expiresAt > now) yield registeredEffect(held)
    for (const [key, held] of firstOf(this.streams.table)) if (held.expiresAt > now) yield streamEffect(key, held)
    for (const [key, held] of firstOf(this.budgets.table)) if (held.expiresAt > now) yield spentEffect(key, held)
  }

  /** Frees the memory of what has expired, looking at no more than so many keys of each table. */
  sweep(keys: number): void {
    const now = this.now()
    const { table: budgets } = this.budgets
    const tables = [this.records, this.tokens, this.leases, this.registry.table, this.streams.table, budgets]
    for (const table of tables as Map<string, Mortal>[]) this.sweepTable(table, keys, now)
  }

  private read(key: string): Pair<Uint8Array>[] | null {
    const held = this.alive(this.records, key)
    return held === undefined ? null : [...held.fields]
  }

  private create(key: string, fields: readonly Pair<Uint8Array>[], ttlMs: number): boolean {
    if (this.alive(this.records, key) !== undefined) return false
    const held = { expiresAt: this.now() + ttlMs, fields: new Map(fields) }
    this.records.set(key, held)
    this.emit(recordEffect(key, held))
    return true
  }

  private update(
    key: string,
    set: readonly Pair<Uint8Array>[],
    remove: readonly string[],
    expect: readonly Pair<Uint8Array | null>[],
    ttlMs: number | null,
  ): UpdateResult {
    const held = this.alive(this.records, key)
    if (held === undefined) return 'missing'
    if (!expect.every(([name, bytes]) => sameBytes(held.fields.get(name) ?? null, bytes))) return 'conflict'
    const expiresAt = ttlMs === null ? held.expiresAt : this.now() + ttlMs
    this.replayFields(key, expiresAt, set, remove)
    this.emit(['fields', key, expiresAt, set, remove])
    return 'updated'
  }

  private delete(key: string): boolean {
    const existed = this.alive(this.records, key) !== undefined
    this.records.delete(key)
    if (existed) this.emit(['gone', key])
    return existed
  }

  private list(prefix: string, limit: number): string[] {
    const now = this.now()
    const keys: string[] = []
    for (const [key, held] of this.records) {
      if (keys.length >= limit) break
      if (held.expiresAt > now && key.startsWith(prefix)) keys.push(key)
    }
    return keys
  }

  private raiseToken(key: string, epoch: string, lsn: number, ttlMs: number): true {
    const parts = this.alive(this.tokens, key)?.parts ?? new Map<string, number>()
    parts.set(epoch, Math.max(parts.get(epoch) ?? 0, lsn))
    this.putToken(key, parts, ttlMs)
    return true
  }

  private readToken(key: string): Pair<number>[] | null {
    const held = this.alive(this.tokens, key)
    return held === undefined ? null : [...held.parts]
  }

  private replaceToken(key: string, seen: readonly Pair<number>[], next: Pair<number>, ttlMs: number): boolean {
    const parts = this.alive(this.tokens, key)?.parts
    if (parts === undefined || parts.size !== seen.length) return false
    if (!seen.every(([epoch, lsn]) => parts.get(epoch) === lsn)) return false
    this.putToken(key, new Map([next]), ttlMs)
    return true
  }

  private putToken(key: string, parts: Map<string, number>, ttlMs: number): void {
    const held = { expiresAt: this.now() + ttlMs, parts }
    this.tokens.set(key, held)
    this.emit(tokenEffect(key, held))
  }

  private acquireLease(key: string, holder: string, ttlMs: number): number | null {
    const held = this.alive(this.leases, key)
    if (held !== undefined && held.holder !== holder) return null
    const fence = held?.fence ?? this.nextFence()
    this.putLease(key, { holder, fence, expiresAt: this.now() + ttlMs })
    return fence
  }

  private renewLease(key: string, holder: string, fence: number, ttlMs: number): boolean {
    const held = this.alive(this.leases, key)
    if (held === undefined || held.holder !== holder || held.fence !== fence) return false
    this.putLease(key, { holder, fence, expiresAt: this.now() + ttlMs })
    return true
  }

  private releaseLease(key: string, holder: string, fence: number): true {
    const held = this.alive(this.leases, key)
    if (held === undefined || held.holder !== holder || held.fence !== fence) return true
    this.leases.delete(key)
    this.emit(['released', key])
    return true
  }

  private putLease(key: string, held: HeldLease): void {
    this.leases.set(key, held)
    this.emit(leaseEffect(key, held))
  }

  private replayFields(
    key: string,
    expiresAt: number,
    set: readonly Pair<Uint8Array>[],
    remove: readonly string[],
  ): void {
    const held = this.records.get(key)
    if (held === undefined) return
    for (const name of remove) held.fields.delete(name)
    for (const [name, bytes] of set) held.fields.set(name, bytes)
    held.expiresAt = expiresAt
  }

  private nextFence(): number {
    this.lastFence = Math.max(this.lastFence + 1, this.now() * 1000)
    return this.lastFence
  }

  private replayRegistered([, group, id, fence, revision, expiresAt, value]: EffectOf<'registered'>): void {
    this.registry.replay({ group, id, fence, revision, value, expiresAt })
    this.lastFence = Math.max(this.lastFence, revision)
  }

  private replayStream([, name, last, expiresAt, entries]: EffectOf<'stream'>): void {
    this.streams.replay(name, { expiresAt, last, entries: new Map(entries) })
    this.lastFence = Math.max(this.lastFence, last)
  }

  private replayLease(key: string, holder: string, fence: number, expiresAt: number): void {
    this.leases.set(key, { holder, fence, expiresAt })
    this.lastFence = Math.max(this.lastFence, fence)
  }

  private alive<T extends Mortal>(table: Map<string, T>, key: string): T | undefined {
    const held = table.get(key)
    return held !== undefined && held.expiresAt > this.now() ? held : undefined
  }

  /** The wall clock, kept from going back: what has expired stays expired. */
  private now(): number {
    this.lastNow = Math.max(this.lastNow, this.wallClock())
    return this.lastNow
  }

  private sweepTable(table: Map<string, Mortal>, keys: number, now: number): void {
    const cursor = this.cursors.get(table) ?? table.entries()
    this.cursors.set(table, cursor)
    for (let looked = 0; looked < keys; looked += 1) {
      const next = cursor.next()
      if (next.done === true) return void this.cursors.delete(table)
      if (next.value[1].expiresAt <= now) table.delete(next.value[0])
    }
  }
}

type EffectOf<Kind extends Effect[0]> = Extract<Effect, readonly [Kind, ...unknown[]]>
type DropFirst<T extends readonly unknown[]> = T extends readonly [unknown, ...infer Rest] ? Rest : never

/** As many entries as the table has now; those that are added meanwhile stand behind them. */
function* firstOf<T>(table: Map<string, T>): Generator<[string, T]> {
  let left = table.size
  for (const entry of table) {
    if (left <= 0) return
    left -= 1
    yield entry
  }
}

function recordEffect(key: string, held: HeldRecord): Effect {
  return ['record', key, held.expiresAt, [...held.fields]]
}

function tokenEffect(key: string, held: HeldToken): Effect {
  return ['token', key, held.expiresAt, [...held.parts]]
}

function leaseEffect(key: string, held: HeldLease): Effect {
  return ['lease', key, held.holder, held.fence, held.expiresAt]
}

function sameBytes(left: Uint8Array | null, right: Uint8Array | null): boolean {
  if (left === null || right === null) return left === right
  return Buffer.compare(left, right) === 0
}
