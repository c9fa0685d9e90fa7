/**
 * Writers outside of the app: plain connections to the primary, of which Fourfold knows nothing. What they are told
 * counts for strict readers.
 */

import pg from 'pg'

import { isDecided, outsideKinds, performWrite, planWrite, pickOne, type Kind } from './write-kinds.ts'

import type { Servers } from '../sessions/servers.ts'
import type { BeginLine, History, Item, WriteLine } from './history.ts'

export interface OutsideOptions {
  readonly servers: Servers
  readonly history: History
  /** Begins the ids of its writes. */
  readonly name: string
  /** Between two writes of one writer, on average. */
  readonly everyMs: number
  /** Besides, so many reads must have been answered for each write. */
  readonly everyReads?: { readonly each: number; readonly reads: () => number } | undefined
  /** Told of each table that has joined: the key of its row. */
  readonly onTable: (key: string) => void
  /** Default: all, those that lock tables rarely. */
  readonly kinds?: readonly Kind[] | undefined
  /** How many write at once. Default 2. */
  readonly writers?: number | undefined
}

/** Those that make everything that is cached useless, or hold everybody up, no more often than this. */
const rareMs: Partial<Record<Kind | 'late table', number>> = {
  ddl: 8_000,
  truncate: 5_000,
  'bulk removal': 2_000,
  'late table': 15_000,
}
const retryMs = 200

export class OutsideWriters {
  readonly #options: OutsideOptions
  readonly #lastMs = new Map<string, number>()
  #running: Promise<unknown> | null = null
  #over = false
  #count = 0

  constructor(options: OutsideOptions) {
    this.#options = options
  }

  start(): void {
    const live = Array.from({ length: this.#options.writers ?? 2 }, () => this.#live())
    this.#running = Promise.all([...live, this.#live('late table')])
  }

  async stop(): Promise<void> {
    this.#over = true
    await this.#running
  }

  async #live(only?: 'late table'): Promise<void> {
    if (only !== undefined && this.#options.kinds !== undefined) return
    let client: pg.Client | null = null
    while (!this.#over) {
      client ??= await this.#connect()
      if (client === null) await pause(retryMs)
      else if (!(await this.#once(client, only))) {
        client.end().catch(() => undefined)
        client = null
      }
    }
    await client?.end().catch(() => undefined)
  }

  /** One write or none. Answers whether the connection is still good. */
  async #once(client: pg.Client, only?: 'late table'): Promise<boolean> {
    await pause(Math.random() * 2 * this.#options.everyMs)
    await this.#untilRead()
    const kind = only ?? pickOne(this.#options.kinds ?? outsideKinds)
    if (this.#over || this.#isTooSoon(kind)) return true
    if (kind === 'late table') return await this.#addTable(client)
    const plan = planWrite(kind)
    return await this.#write(kind, plan.keys, plan.removes, (id) => performWrite(client, plan, id))
  }

  async #untilRead(): Promise<void> {
    const { everyReads } = this.#options
    const next = this.#count * (everyReads?.each ?? 0)
    while (!this.#over && (everyReads?.reads() ?? Infinity) < next) await pause(20)
  }

  #isTooSoon(kind: Kind | 'late table'): boolean {
    const now = performance.now()
    const last = this.#lastMs.get(kind) ?? -Infinity
    if (now - last < (rareMs[kind] ?? 0)) return true
    this.#lastMs.set(kind, now)
    return false
  }

  /** A table that is written while it joins: its change is open before anybody has read it, and committed after. */
  async #addTable(client: pg.Client): Promise<boolean> {
    const table = `late_${this.#options.name}_${this.#count}`
    const key = `${table}/x`
    const change = async (text: string, id: string) => {
      const { rows } = await client.query(text, [id])
      return [{ key, version: Number(rows[0].version), stamp: id }]
    }
    const made = await this.#write('late table', [key], false, async (id) => {
      await client.query(`create table ${table} (key text primary key, version bigint not null, stamp text not null)`)
      const items = await change(`insert into ${table} values ('x', 1, $1) returning version`, id)
      return { outcome: 'acknowledged', items, undone: [] }
    })
    if (!made) return false
    for (let at = 0; at < 4 && !this.#over; at += 1) {
      const good = await this.#write('late table', [key], false, async (id) => {
        await client.query('begin')
        const items = await change(`update ${table} set version = version + 1, stamp = $1 returning version`, id)
        if (at === 0) this.#options.onTable(key)
        await pause(200 + Math.random() * 600)
        await client.query('commit')
        return { outcome: 'acknowledged', items, undone: [] }
      })
      if (!good) return false
    }
    return true
  }

  async #write(
    kind: string,
    keys: readonly string[],
    removes: boolean,
    work: (id: string) => Promise<Pick<WriteLine, 'outcome' | 'undone'> & { readonly items: readonly Item[] }>,
  ): Promise<boolean> {
    const id = `${this.#options.name}-${(this.#count += 1)}`
    const { history } = this.#options
    const invoked = performance.now()
    const begin: BeginLine = { operation: 'begin', id, invoked, keys, removes }
    history.add(begin)
    const base = { operation: 'write', id, session: 'outside', kind, invoked, clone: '' } as const
    try {
      const done = await work(id)
      history.add({ ...base, ...done, returned: performance.now() })
      return true
    } catch (error) {
      const decided = isDecided(error)
      const outcome = decided ? 'rolled back' : 'unknown'
      const note = (error as Error).message
      history.add({ ...base, outcome, items: [], undone: [], returned: performance.now(), note })
      return decided
    }
  }

  async #connect(): Promise<pg.Client | null> {
    const { directory, port } = this.#options.servers.socket('primary')
    const client = new pg.Client({
      host: directory,
      port,
      user: 'fourfold',
      database: 'app',
      connectionTimeoutMillis: 2_000,
      // What hangs longer than this has an end that is not known.
      query_timeout: 8_000,
      lock_timeout: 2_000,
    })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return client
    } catch {
      client.end().catch(() => undefined)
      return null
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
