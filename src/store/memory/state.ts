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
import { leaseEffect, Leases } from './leases.ts'
import type { Operation } from './operations.ts'
import { recordEffect, Records } from './record-table.ts'
import { registeredEffect, Registry } from './registry.ts'
import { streamEffect, Streams } from './streams.ts'
import { tokenEffect, Tokens } from './tokens.ts'

interface Mortal {
  expiresAt: number
}
export interface StateOptions {
  /** Wall clock in milliseconds. */
  readonly now?: () => number
  /** Takes every change, in order, before the operation that made it is answered. */
  readonly emit: (effect: Effect) => void
}

export class StoreState {
  private readonly records: Records
  private readonly tokens: Tokens
  private readonly leases: Leases
  private readonly registry: Registry
  private readonly streams: Streams
  private readonly budgets: Budgets
  private readonly wallClock: () => number
  private readonly cursors = new Map<Map<string, Mortal>, IterableIterator<[string, Mortal]>>()
  private lastFence = 0
  private lastNow = 0

  constructor(options: StateOptions) {
    this.wallClock = options.now ?? Date.now
    const keeper = { now: () => this.now(), nextFence: () => this.nextFence(), emit: options.emit }
    this.records = new Records(keeper)
    this.tokens = new Tokens(keeper)
    this.leases = new Leases(keeper)
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
        return this.records.read(operation[1])
      case 'create':
        return this.records.create(operation[1], operation[2], operation[3])
      case 'update':
        return this.records.update(
          ...(operation.slice(1) as DropFirst<Extract<Operation, readonly ['update', ...unknown[]]>>),
        )
      case 'delete':
        return this.records.delete(operation[1])
      case 'list':
        return this.records.list(operation[1], operation[2])
      case 'raiseToken':
        return this.tokens.raise(operation[1], operation[2], operation[3], operation[4])
      case 'readToken':
        return this.tokens.read(operation[1])
      case 'replaceToken':
        return this.tokens.replace(operation[1], operation[2], [operation[3], operation[4]], operation[5])
      case 'acquireLease':
        return this.leases.acquire(operation[1], operation[2], operation[3])
      case 'renewLease':
        return this.leases.renew(operation[1], operation[2], operation[3], operation[4])
      case 'releaseLease':
        return this.leases.release(operation[1], operation[2], operation[3])
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
    if (effect[0] === 'record') this.records.table.set(effect[1], { expiresAt: effect[2], fields: new Map(effect[3]) })
    else if (effect[0] === 'fields') this.records.replayFields(effect[1], effect[2], effect[3], effect[4])
    else if (effect[0] === 'gone') this.records.table.delete(effect[1])
    else if (effect[0] === 'token')
      this.tokens.table.set(effect[1], { expiresAt: effect[2], parts: new Map(effect[3]) })
    else if (effect[0] === 'lease') this.replayLease(effect[1], effect[2], effect[3], effect[4])
    else if (effect[0] === 'released') this.leases.table.delete(effect[1])
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
    for (const [key, held] of firstOf(this.records.table)) if (held.expiresAt > now) yield recordEffect(key, held)
    for (const [key, held] of firstOf(this.tokens.table)) if (held.expiresAt > now) yield tokenEffect(key, held)
    for (const [key, held] of firstOf(this.leases.table)) if (held.expiresAt > now) yield leaseEffect(key, held)
    for (const [, held] of firstOf(this.registry.table)) if (held.expiresAt > now) yield registeredEffect(held)
    for (const [key, held] of firstOf(this.streams.table)) if (held.expiresAt > now) yield streamEffect(key, held)
    for (const [key, held] of firstOf(this.budgets.table)) if (held.expiresAt > now) yield spentEffect(key, held)
  }

  /** Frees the memory of what has expired, looking at no more than so many keys of each table. */
  sweep(keys: number): void {
    const now = this.now()
    const parts = [this.records, this.tokens, this.leases, this.registry, this.streams, this.budgets]
    for (const { table } of parts) this.sweepTable(table as Map<string, Mortal>, keys, now)
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
    this.leases.table.set(key, { holder, fence, expiresAt })
    this.lastFence = Math.max(this.lastFence, fence)
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
