/**
 * The connections to one replica address, each with what its server had replayed when it was last asked.
 *
 * pg's own pool hands out any idle connection. Here it matters which: a replay position belongs to the connection it
 * was read on (FRESHNESS rule 21), and behind one address there may be several servers. So a reader gets a connection
 * that is known to have replayed enough, where there is one.
 *
 * Invariants:
 * - A connection is idle, or has one holder, or is closed. There are never more than `max`.
 * - Every routed read passes here, so nothing is made for it but what the caller brings, and one timer keeps the
 *   deadlines of all: a statement that hangs has its connection cut, whoever waits in vain is told so.
 */

import type pg from 'pg'

import { cutConnection, isWorking, setQueryTimeout } from './client-state.ts'

import type { ReplayPosition } from '../position.ts'

/** What a connection must have replayed; asked anew each time, as both sides move. */
export type Eligible = (replay: ReplayPosition) => boolean

export interface ReplicaConnection {
  readonly client: pg.Client
  /** What its server had replayed when last asked; null before that. */
  replay: ReplayPosition | null
  /** Names the server behind it, once asked; an address may lead to several. */
  server: string | null
  /** How many rounds of probes said nothing of its server while a statement waited. */
  unproved: number
}

interface Entry extends ReplicaConnection {
  state: 'idle' | 'held' | 'closed'
  /** How often the sweep has found it in this state, and at work where it is held for several statements. */
  sweeps: number
  /** Held for several statements, each with a deadline of its own. */
  long: boolean
}

/** Told of a connection, or why none came. */
export type OnConnection = (connection: ReplicaConnection | null, refusal: Refusal | null) => void

/** `busy`: all were in use for too long, which says nothing about the server. */
export interface Refusal {
  readonly why: 'busy' | 'closed' | 'unreachable'
  readonly error?: unknown
}

export interface ReplicaConnectionsOptions {
  readonly max: number
  /** Makes a client that is not connected, with a deadline for connecting. */
  readonly create: () => pg.Client
  /** How long somebody waits while all are in use. */
  readonly waitMs: number
  /** After this a statement's connection is cut. The server's own timeout should come first. */
  readonly statementMs: number
  readonly idleMs: number
  /** A connection was lost that nobody held. */
  readonly onIdleLost: () => void
}

interface Waiter {
  readonly tell: OnConnection
  sweeps: number
}

const sweepEveryMs = 250
const endGraceMs = 1_000

export class ReplicaConnections {
  readonly #options: ReplicaConnectionsOptions
  readonly #all = new Set<Entry>()
  readonly #idle: Entry[] = []
  readonly #waiters: Waiter[] = []
  /** Told to end; a server that hangs does not close its side. */
  readonly #ending = new Set<pg.Client>()
  readonly #sweeper: NodeJS.Timeout
  #opening = 0
  #closing: Promise<void> | null = null
  #allClosed: (() => void) | null = null

  constructor(options: ReplicaConnectionsOptions) {
    this.#options = options
    this.#sweeper = setInterval(() => this.#sweep(), sweepEveryMs)
    this.#sweeper.unref()
  }

  /** An idle connection that is known to be eligible, or null. */
  takeEligible(eligible: Eligible): ReplicaConnection | null {
    const idle = this.#idle
    for (let index = idle.length - 1; index >= 0; index -= 1) {
      const entry = idle[index] as Entry
      if (entry.replay === null || !eligible(entry.replay)) continue
      if (index === idle.length - 1) idle.pop()
      else idle.splice(index, 1)
      return hold(entry)
    }
    return null
  }

  /** Any connection: an idle one, a new one, or the next that is given back. `then` may be called at once. */
  take(then: OnConnection): void {
    if (this.#closing !== null) return then(null, { why: 'closed' })
    const entry = this.#idle.pop()
    if (entry !== undefined) then(hold(entry), null)
    else if (this.#all.size + this.#opening < this.#options.max) void this.#open(then)
    else this.#waiters.push({ tell: then, sweeps: 0 })
  }

  /** Gives a connection back. It is the next waiter's at once. */
  give(connection: ReplicaConnection): void {
    const entry = connection as Entry
    if (entry.state !== 'held') return
    if (entry.long) this.#holdLong(entry, false)
    if (this.#closing !== null) return this.drop(entry)
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) return waiter.tell(hold(entry), null)
    entry.state = 'idle'
    entry.sweeps = 0
    this.#idle.push(entry)
  }

  /** Ends a connection instead of giving it back. */
  drop(connection: ReplicaConnection): void {
    this.#closed(connection as Entry)
    void this.#end(connection.client)
  }

  /** The holder keeps it for several statements: each has the deadline then. */
  keep(connection: ReplicaConnection): void {
    this.#holdLong(connection as Entry, true)
  }

  /** Connections with a statement that has waited for its answer this long. */
  silentFor(ms: number): readonly ReplicaConnection[] {
    return [...this.#all].filter((entry) => entry.state === 'held' && entry.sweeps * sweepEveryMs >= ms)
  }

  /** Cuts all connections at once: the server does not answer. What waits on one fails. */
  cutAll(): void {
    for (const entry of this.#all) cutConnection(entry.client)
  }

  /** Ends idle connections, gives statements a moment to end, and cuts what is left. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #holdLong(entry: Entry, long: boolean): void {
    entry.long = long
    setQueryTimeout(entry.client, long ? this.#options.statementMs : 0)
  }

  async #end(client: pg.Client): Promise<void> {
    this.#ending.add(client)
    await client.end().catch(() => undefined)
    this.#ending.delete(client)
  }

  async #open(then: OnConnection): Promise<void> {
    const client = this.#options.create()
    const entry: Entry = { client, replay: null, server: null, unproved: 0, state: 'held', sweeps: 0, long: false }
    // A connection that dies in its holder's hands is an error of its statement.
    client.on('error', () => this.#lost(entry))
    client.on('end', () => this.#lost(entry))
    this.#opening += 1
    try {
      await client.connect()
    } catch (error) {
      this.#opening -= 1
      client.end().catch(() => undefined)
      this.#refuseIfNone({ why: 'unreachable', error })
      return then(null, { why: 'unreachable', error })
    }
    this.#opening -= 1
    setQueryTimeout(client, 0)
    this.#all.add(entry)
    if (this.#closing === null) return then(entry, null)
    this.drop(entry)
    then(null, { why: 'closed' })
  }

  #lost(entry: Entry): void {
    const idle = entry.state === 'idle'
    this.#closed(entry)
    if (idle && this.#closing === null) this.#options.onIdleLost()
  }

  #closed(entry: Entry): void {
    if (entry.state === 'closed') return
    if (entry.state === 'idle') this.#idle.splice(this.#idle.indexOf(entry), 1)
    entry.state = 'closed'
    if (!this.#all.delete(entry)) return
    if (this.#all.size === 0) this.#allClosed?.()
    const waiter = this.#closing === null ? this.#waiters.shift() : undefined
    if (waiter !== undefined) this.take(waiter.tell)
  }

  /** Nobody is left who could give a connection back. */
  #refuseIfNone(refusal: Refusal): void {
    if (this.#all.size + this.#opening > 0) return
    for (const waiter of this.#waiters.splice(0)) waiter.tell(null, refusal)
  }

  #sweep(): void {
    const { statementMs, idleMs, waitMs } = this.#options
    for (const entry of [...this.#all]) {
      entry.sweeps = entry.long && !isWorking(entry.client) ? 0 : entry.sweeps + 1
      const forMs = entry.sweeps * sweepEveryMs
      if (entry.state === 'idle' && forMs > idleMs) this.drop(entry)
      if (entry.state === 'held' && !entry.long && forMs > statementMs) cutConnection(entry.client)
    }
    for (const waiter of this.#waiters) waiter.sweeps += 1
    while ((this.#waiters[0]?.sweeps ?? 0) * sweepEveryMs > waitMs) this.#waiters.shift()?.tell(null, { why: 'busy' })
  }

  async #close(): Promise<void> {
    clearInterval(this.#sweeper)
    for (const waiter of this.#waiters.splice(0)) waiter.tell(null, { why: 'closed' })
    const ended = new Promise<void>((resolve) => (this.#allClosed = resolve))
    const ending = this.#idle.splice(0).map(async (entry) => {
      this.#closed(entry)
      await this.#end(entry.client)
    })
    const grace = AbortSignal.timeout(endGraceMs)
    const expired = new Promise<void>((resolve) => grace.addEventListener('abort', () => resolve(), { once: true }))
    await Promise.race([Promise.all([...ending, this.#all.size === 0 || ended]), expired])
    this.cutAll()
    for (const client of this.#ending) cutConnection(client)
  }
}

function hold(entry: Entry): Entry {
  entry.state = 'held'
  entry.sweeps = 0
  entry.unproved = 0
  return entry
}
