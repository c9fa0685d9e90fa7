/**
 * Brings tables into the publication as they are asked for, and looks after them when the schema changed. One connection,
 * one table at a time, so that no two of its locks wait for each other.
 */

import { setTimeout as delay } from 'node:timers/promises'

import type { Logger } from '../../core/log.ts'
import type { QueryClient } from '../../engines/postgres/client.ts'
import { joinTable, leaveTable, readMembers } from '../../engines/postgres/changes/join-table.ts'
import {
  readTables,
  refusal,
  trackingFor,
  type TableFacts,
  type Tracking,
} from '../../engines/postgres/changes/tables.ts'
import type { Epoch } from '../../engines/position.ts'
import type { TableCoverage } from '../changes/message.ts'

export interface TableKeeperOptions {
  /** A connection of its own: it waits for locks. */
  readonly client: QueryClient
  readonly epoch: Epoch
  readonly trackingOf: (schema: string, name: string) => Tracking
  readonly changed: (tables: ReadonlyMap<number, TableCoverage>) => void
  /** The connection is of no use any more. */
  readonly failed: (error: unknown) => void
  readonly log: Logger
}

/** Short: whoever wants to write waits behind it. */
const lockTimeoutMs = 200
const firstRetryMs = 100
const longestRetryMs = 5000
/** Somebody may have changed an owner or a key. */
const refusedRetryMs = 30_000

interface Wish {
  readonly table: number
  reason: string | null
  attempts: number
  /** By the process's own clock. */
  notBefore: number
}

export class TableKeeper {
  readonly #options: TableKeeperOptions
  readonly #wishes = new Map<number, Wish>()
  #joined: ReadonlyMap<number, TableCoverage> = new Map()
  #work: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: TableKeeperOptions) {
    this.#options = options
  }

  get joined(): ReadonlyMap<number, TableCoverage> {
    return this.#joined
  }

  /** Tables that were asked for and are not watched, with the reasons. */
  get refused(): readonly { readonly table: number; readonly reason: string }[] {
    return [...this.#wishes.values()].flatMap(({ table, reason }) => (reason === null ? [] : [{ table, reason }]))
  }

  want(tables: readonly number[]): void {
    const fresh = tables.filter((table) => !this.#wishes.has(table) && !this.#joined.has(table))
    if (fresh.length === 0) return
    for (const table of fresh) this.#wishes.set(table, { table, reason: null, attempts: 0, notBefore: 0 })
    void this.#queue(() => this.#grant())
  }

  /** Reads what is in the publication. Resolves when {@link joined} tells it; what fell out is asked for again. */
  verify(): Promise<void> {
    for (const wish of this.#wishes.values()) wish.notBefore = 0
    const read = this.#queue(() => this.#readJoined())
    void this.#queue(() => this.#grant())
    return read
  }

  async stop(): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    await Promise.race([this.#work, delay(1000, undefined, { ref: false })])
  }

  #queue(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work
      .then(() => (this.#stopped ? undefined : work()))
      .catch((error: unknown) => {
        if (!this.#stopped) this.#options.failed(error)
      })
    return this.#work
  }

  async #readJoined(): Promise<void> {
    const { client, epoch, trackingOf } = this.#options
    const members = await readMembers(client, epoch)
    const before = this.#joined
    const joined = new Map<number, TableCoverage>()
    const leaving: TableFacts[] = []
    for (const table of await readTables(client, [...members.keys()])) {
      const tracking = trackingFor(table, trackingOf(table.schema, table.name))
      if (refusal(table, tracking) !== null) {
        leaving.push(table)
        continue
      }
      // What is watched as it is goes on; what no longer is as it should be joins again, with its old position.
      joined.set(table.oid, { since: members.get(table.oid) ?? 0, tracking: trackingNow(table) })
      const fits = tracking === 'full' ? table.notFull.length === 0 : !table.computes || table.identity !== 'f'
      if (!fits) this.#wish(table.oid)
    }
    for (const table of before.keys()) if (!joined.has(table)) this.#wish(table)
    // First nobody says any more that they are watched.
    this.#tell(joined)
    for (const table of leaving) await leaveTable(client, table)
  }

  #wish(table: number): void {
    this.#wishes.set(table, { table, reason: null, attempts: 0, notBefore: 0 })
  }

  async #grant(): Promise<void> {
    for (const wish of this.#wishes.values()) {
      if (this.#stopped || performance.now() < wish.notBefore) continue
      await this.#try(wish)
    }
    this.#schedule()
  }

  async #try(wish: Wish): Promise<void> {
    const { client, epoch, trackingOf, log } = this.#options
    const join = await joinTable(client, { table: wish.table, trackingOf, epoch, lockTimeoutMs })
    if (join.joined) {
      this.#wishes.delete(wish.table)
      log.debug({ table: join.name, tracking: join.tracking }, 'a table is watched from now on')
      this.#tell(new Map([...this.#joined, [wish.table, { since: join.since, tracking: join.tracking }]]))
      return
    }
    if (wish.reason !== join.reason) log.info({ table: wish.table, reason: join.reason }, 'a table is not watched')
    wish.reason = join.reason
    wish.attempts += 1
    const wait = join.busy ? Math.min(longestRetryMs, firstRetryMs * 2 ** wish.attempts) : refusedRetryMs
    wish.notBefore = performance.now() + wait * (0.5 + Math.random() / 2)
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    if (this.#stopped || this.#wishes.size === 0) return
    const next = Math.min(...[...this.#wishes.values()].map(({ notBefore }) => notBefore))
    this.#timer = setTimeout(() => void this.#queue(() => this.#grant()), Math.max(10, next - performance.now()))
  }

  #tell(joined: ReadonlyMap<number, TableCoverage>): void {
    this.#joined = joined
    if (!this.#stopped) this.#options.changed(joined)
  }
}

function trackingNow(table: TableFacts): 'full' | 'key' {
  return table.notFull.length === 0 ? 'full' : 'key'
}
