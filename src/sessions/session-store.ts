/**
 * The steps that sessions take in the central store, each one atomic operation. Every change names a record that must
 * exist and must not have moved to another id.
 */

import { randomBytes } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Store, StoreFields, UpdateResult } from '../store/store.ts'
import {
  dataField,
  encodeNumber,
  metaFields,
  parseRecord,
  recordKey,
  type SessionRecord,
  type SessionTicket,
} from './session-record.ts'

export interface SessionLimits {
  /** A session that nobody used for so long is over. */
  readonly idleMs: number
  /** A session is over so long after it began, used or not. */
  readonly absoluteMs: number
}

/** Values by key; null takes the key away. */
export type SessionChanges = ReadonlyMap<string, Uint8Array | null>

interface Copied {
  /** Whether there may be a copy in the store that the app came from. */
  readonly copied?: boolean
}

/** How long what is left of a moved session says so to requests that were under way. */
const movedForMs = 60_000
const touchEveryMs = 60_000

export class SessionStore {
  readonly limits: SessionLimits
  readonly #store: Store
  readonly #clock: Clock

  constructor(store: Store, limits: SessionLimits, clock: Clock) {
    this.#store = store
    this.limits = limits
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  /** `moved`: another id has the data now. Null: there is none, or it is over. */
  async read(ticket: SessionTicket): Promise<SessionRecord | 'moved' | null> {
    const fields = await this.#store.read(recordKey(ticket.id))
    if (fields === null) return null
    if (fields[metaFields.moved] !== undefined) return 'moved'
    return parseRecord(fields)
  }

  /** Begins a session under a new id. Answers whether it took place: false only if two of 2^256 ids were the same. */
  create(ticket: SessionTicket, data: SessionChanges, { copied = false }: Copied = {}): Promise<boolean> {
    const fields: Record<string, Uint8Array> = {
      ...this.#stamp(),
      [metaFields.created]: encodeNumber(ticket.created),
      [metaFields.reader]: Buffer.from(ticket.reader),
    }
    if (copied) fields[metaFields.copied] = Buffer.from('')
    for (const [key, value] of data) if (value !== null) fields[dataField(key)] = value
    return this.#store.create(recordKey(ticket.id), fields, { ttlMs: this.#ttlMs(ticket) })
  }

  /** Writes changes, if every key in `expect` still has the value named there. */
  write(ticket: SessionTicket, changes: SessionChanges, expect: SessionChanges = new Map()): Promise<UpdateResult> {
    const set: Record<string, Uint8Array> = this.#stamp()
    // Whom the app takes the reader for may hang on any of it.
    const remove: string[] = [metaFields.identified]
    for (const [key, value] of changes) {
      if (value === null) remove.push(dataField(key))
      else set[dataField(key)] = value
    }
    const conditions: Record<string, Uint8Array | null> = { [metaFields.moved]: null }
    for (const [key, value] of expect) conditions[dataField(key)] = value
    return this.#store.update(recordKey(ticket.id), { set, remove, expect: conditions, ttlMs: this.#ttlMs(ticket) })
  }

  /** Puts the idle limit off, at most once a minute. */
  async touch(ticket: SessionTicket, record: SessionRecord): Promise<void> {
    const now = this.#clock.now()
    if (!isDue(record.touched, now, this.limits.idleMs)) return
    record.touched = now
    const set = { [metaFields.touched]: encodeNumber(now) }
    const expect = { [metaFields.moved]: null }
    await this.#store.update(recordKey(ticket.id), { set, expect, ttlMs: this.#ttlMs(ticket) })
  }

  /** Notes whom the app's `identify` named for this data, if it is still the session's. */
  noteIdentified(ticket: SessionTicket, { write }: SessionRecord, reader: string): Promise<UpdateResult> {
    return this.#store.update(recordKey(ticket.id), {
      set: { [metaFields.identified]: Buffer.from(reader) },
      expect: { [metaFields.moved]: null, [metaFields.write]: write },
    })
  }

  /**
   * Ends the old id of a session whose data stands under a new one, if nobody wrote since `record` was read. What
   * stays for a minute has no data: it tells requests under way that they come too late, and a logout what to end.
   */
  retire(ticket: SessionTicket, record: SessionRecord, next: SessionTicket): Promise<UpdateResult> {
    const moved: StoreFields = { [metaFields.moved]: Buffer.from(recordKey(next.id)) }
    return this.#store.update(recordKey(ticket.id), {
      set: moved,
      remove: [...record.data.keys()].map(dataField),
      expect: { [metaFields.moved]: null, [metaFields.write]: record.write },
      ttlMs: movedForMs,
    })
  }

  /** Notes that a copy is about to be made elsewhere. */
  markCopied(ticket: SessionTicket): Promise<UpdateResult> {
    const set = { [metaFields.copied]: Buffer.from('') }
    return this.#store.update(recordKey(ticket.id), { set, expect: { [metaFields.moved]: null } })
  }

  /** Ends the old id of a session that begins anew under another one, with nothing of its data. */
  supersede(
    ticket: SessionTicket,
    keys: readonly string[],
    next: SessionTicket,
    { copied = false }: Copied = {},
  ): Promise<UpdateResult> {
    return this.#store.update(recordKey(ticket.id), {
      set: { [metaFields.moved]: Buffer.from(recordKey(next.id)) },
      remove: keys.map(dataField),
      expect: { [metaFields.moved]: null },
      ttlMs: copied ? this.limits.absoluteMs : movedForMs,
    })
  }

  /**
   * Ends a session, and keeps on record that it ended for as long as any session may live: its copy elsewhere must not
   * be taken over again.
   */
  async bury(ticket: SessionTicket): Promise<void> {
    const ended = { [metaFields.moved]: Buffer.from('') }
    do await this.end(ticket)
    while (!(await this.#store.create(recordKey(ticket.id), ended, { ttlMs: this.limits.absoluteMs })))
  }

  /**
   * Ends a session for every clone, at once, also where another request has just moved it to another id: a logout
   * must not be outrun by a change of id. Marked first, so that it cannot move between the mark and the deletion.
   */
  async end(ticket: SessionTicket): Promise<void> {
    let key: string | null = recordKey(ticket.id)
    while (key !== null) {
      const ended = { set: { [metaFields.moved]: Buffer.from('') }, expect: { [metaFields.moved]: null } }
      const result: UpdateResult = await this.#store.update(key, ended)
      const next: string | null = result === 'conflict' ? await this.#movedTo(key) : null
      if (result !== 'missing') await this.#store.delete(key)
      key = next
    }
  }

  /** The key of the record that has the data now, or null. */
  async #movedTo(key: string): Promise<string | null> {
    const moved = (await this.#store.read(key))?.[metaFields.moved]
    return moved === undefined || moved.length === 0 ? null : Buffer.from(moved).toString()
  }

  #stamp(): Record<string, Uint8Array> {
    return { [metaFields.write]: randomBytes(9), [metaFields.touched]: encodeNumber(this.#clock.now()) }
  }

  #ttlMs(ticket: SessionTicket): number {
    const left = ticket.created + this.limits.absoluteMs - this.#clock.now()
    return Math.max(1, Math.min(ticket.idleMs ?? this.limits.idleMs, left))
  }
}

function isDue(touched: number, now: number, idleMs: number): boolean {
  return now - touched >= Math.min(touchEveryMs, idleMs / 4)
}

/** Whether the idle limit of a session should be put off, by its field. */
export function dueForTouch(touched: Uint8Array | undefined, now: number, idleMs: number): boolean {
  return touched === undefined || isDue(Number(Buffer.from(touched).toString()), now, idleMs)
}
