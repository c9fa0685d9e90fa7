/**
 * One session, for the length of one request. Nothing is read from the store before the first call that needs it, and
 * nothing is written but what changed.
 *
 * Invariants:
 * - Each key is a field of its own, and only changed fields are written: two requests that change different keys of
 *   one session both keep their changes.
 * - A session that ended is never revived: every write names a record that must exist. A request that had seen the
 *   session alive gets FF_SESSION_GONE; one that had not gets a new session, with another id and nothing in it but
 *   what that request has set.
 * - Steps of one session run one after another, in the order of the calls.
 * - A promise that resolved tells of a change that is stored; `set` and `unset` have no promise, `save` has.
 */

import { isFourfoldError, type FourfoldError } from '../core/errors.ts'
import { sessionContention, sessionGone, sessionLate } from './session-errors.ts'
import {
  dataField,
  decodeValue,
  encodeValue,
  newReaderKey,
  newTicket,
  type SessionRecord,
  type SessionTicket,
} from './session-record.ts'
import { SessionState } from './session-state.ts'
import type { SessionChanges, SessionStore } from './session-store.ts'

export interface SessionOptions {
  readonly store: SessionStore
  /** What the client's cookie said: verified, and within the absolute limit. Null: it has no session. */
  readonly ticket: SessionTicket | null
  /** Writes the Set-Cookie header: for a ticket, or to take the cookie away. */
  readonly cookie: (ticket: SessionTicket | null) => string
  /** Whether the cookie is due to be signed again. */
  readonly resign?: boolean
  /** Names the reader of a session that begins. Default: a random key. */
  readonly newReader?: () => string
  /** Told before the session gets a new id or ends, while it can still be read as it was. */
  readonly beforeHandover?: () => Promise<void>
}

export interface RegenerateOptions {
  /** Whether the absolute limit starts anew: right after a login, wrong for a mere change of id. Default false. */
  readonly renew?: boolean
}

const maxUpdateAttempts = 200
const maxRegenerateAttempts = 20

export class Session {
  readonly #store: SessionStore
  readonly #options: SessionOptions
  readonly #state: SessionState
  readonly #changes = new Map<string, Uint8Array | null>()
  #steps: Promise<unknown> = Promise.resolve()
  #failure: FourfoldError | null = null
  #closed = false
  #handedOver = false
  /** Whether this request has changed anything, stored or not. */
  #touched = false

  constructor(options: SessionOptions) {
    this.#store = options.store
    this.#options = options
    this.#state = new SessionState(options.store, options.ticket, options.resign === true)
  }

  /** The key of the reader this session belongs to, or null as long as there is no session. Costs nothing. */
  get reader(): string | null {
    return this.#state.ticket?.reader ?? null
  }

  /** Whether this session got a new id or ended during this request. */
  get handedOver(): boolean {
    return this.#handedOver
  }

  /** Whether something was set or unset that is not stored yet. */
  get changed(): boolean {
    return this.#changes.size > 0
  }

  /**
   * A key's value, or undefined. Each call gives a fresh copy: to change it, set it.
   *
   * @throws FF_STORE_DEADLINE or FF_STORE_UNAVAILABLE when the store does not answer.
   */
  async get<T = unknown>(key: string): Promise<T | undefined> {
    const changed = this.#changes.get(key)
    if (changed !== undefined) return decodeValue(changed) as T | undefined
    const record = await this.#state.load()
    const late = this.#changes.get(key)
    return decodeValue(late === undefined ? record?.data.get(key) : late) as T | undefined
  }

  /** Sets a key to a value that JSON can hold. It is written by {@link save}, which adapters call before the answer goes out. */
  set(key: string, value: unknown): void {
    this.#refuseLate()
    dataField(key)
    this.#touched = true
    this.#changes.set(key, encodeValue(key, value))
  }

  /** Takes a key away, in the same way as {@link set}. */
  unset(key: string): void {
    this.#refuseLate()
    dataField(key)
    this.#touched = true
    this.#changes.set(key, null)
  }

  /**
   * Changes a key by what it holds, atomically: `change` gets the present value and gives the next one, and runs again
   * when another request was faster. Written at once. `change` must have no other effect and
   * not wait for this session; undefined takes the key away.
   *
   * @throws FF_SESSION_GONE, FF_SESSION_CONTENTION, or the store's errors: nothing was written then (after
   * FF_STORE_DEADLINE: unknown).
   */
  update<T = unknown>(
    key: string,
    change: (value: T | undefined) => T | undefined | Promise<T | undefined>,
  ): Promise<T | undefined> {
    dataField(key)
    this.#touched = true
    return this.#step(async () => {
      for (let attempt = 0; attempt < maxUpdateAttempts; attempt++) {
        if (attempt > 0) await this.#state.reload(attempt)
        const record = await this.#state.load()
        const before = record?.data.get(key) ?? null
        const pending = this.#changes.get(key)
        const next = await change(decodeValue(pending === undefined ? before : pending) as T | undefined)
        const bytes = next === undefined ? null : encodeValue(key, next)
        if (await this.#writeOne(key, bytes, before)) return next
      }
      throw sessionContention('update')
    })
  }

  /** Stores what was set and unset. Does nothing where nothing was. */
  save(): Promise<void> {
    return this.#step(() => this.#flush())
  }

  /**
   * Gives the session a new id and keeps its data and its reader; the old id is worthless from then on. Call it when
   * somebody logs in, or their rights change, so that an id that was planted or seen before gives nobody anything.
   */
  regenerate(options: RegenerateOptions = {}): Promise<void> {
    this.#touched = true
    return this.#step(async () => {
      await this.#options.beforeHandover?.()
      this.#handedOver = true
      for (let attempt = 0; attempt < maxRegenerateAttempts; attempt++) {
        if (attempt > 0) await this.#state.reload(attempt)
        const record = await this.#state.load()
        const { ticket, status } = this.#state
        if (status === 'moved') throw sessionGone()
        if (record === null || ticket === null) return
        const began = options.renew === true ? this.#store.now() : ticket.created
        if (await this.#moveTo(newTicket(ticket.reader, began), ticket, record)) return
      }
      throw sessionContention('regenerate')
    })
  }

  /** Ends the session, for every clone at once, and takes the cookie away. What is set afterwards begins another one. */
  destroy(): Promise<void> {
    this.#touched = true
    return this.#step(async () => {
      await this.#options.beforeHandover?.()
      this.#handedOver = true
      await this.#state.end()
      this.#changes.clear()
    })
  }

  /**
   * Notes in the store whom the app's `identify` named (nothing: nobody) after it read this session, for processes that
   * cannot ask it. Only for what was read and not changed here: else nobody knows what the answer was made of.
   */
  async noteIdentified(reader: string): Promise<void> {
    if (!this.#touched) await this.#state.noteIdentified(reader)
  }

  /** The Set-Cookie header that the answer must carry, or null. Asked after {@link save}. */
  cookieToSet(): string | null {
    const { cookie, ticket } = this.#state
    if (cookie === 'keep' || (cookie === 'set' && ticket === null)) return null
    return this.#options.cookie(cookie === 'set' ? ticket : null)
  }

  /**
   * Stores what is left to store before the answer goes out, puts the idle limit off where the session was used, and
   * from then on refuses changes that no answer could tell of. A store that already failed this request is not asked
   * again: what is unsaved then fails the answer, unless the answer tells of a failure already (`failing`).
   */
  async close(answer: { readonly failing: boolean } = { failing: false }): Promise<void> {
    this.#noteFailure(await this.#state.loadFailure())
    if (this.#failure !== null) {
      const unsaved = this.changed
      this.#changes.clear()
      if (unsaved && !answer.failing) throw this.#failure
    } else {
      await this.save()
      await this.#state.touch()
    }
    this.#closed = true
  }

  async #flush(): Promise<void> {
    if (this.#changes.size === 0) return
    const changes = new Map(this.#changes)
    const { ticket } = this.#state
    if (ticket === null || !(await this.#writeAll(ticket, changes))) await this.#begin(changes)
    for (const [key, value] of changes) if (this.#changes.get(key) === value) this.#changes.delete(key)
  }

  /** False: there is no such session any more, and this request had never seen it alive. */
  async #writeAll(ticket: SessionTicket, changes: SessionChanges): Promise<boolean> {
    const result = await this.#store.write(ticket, changes)
    if (result === 'updated') await this.#state.remember(changes)
    else if (result === 'conflict' || this.#state.status === 'alive') throw sessionGone()
    else this.#state.forget()
    return result === 'updated'
  }

  /** False: the value is not `before` any more. */
  async #writeOne(key: string, value: Uint8Array | null, before: Uint8Array | null): Promise<boolean> {
    const { ticket } = this.#state
    if (ticket === null) {
      this.#refuseLate()
      this.#changes.set(key, value)
      await this.#flush()
      return true
    }
    const change = new Map([[key, value]])
    const result = await this.#store.write(ticket, change, new Map([[key, before]]))
    if (result === 'missing') throw sessionGone()
    if (result === 'conflict') return false
    this.#changes.delete(key)
    await this.#state.remember(change)
    return true
  }

  async #begin(changes: SessionChanges): Promise<void> {
    if (this.#state.status === 'moved') throw sessionGone()
    if ([...changes.values()].every((value) => value === null)) return
    this.#refuseLate()
    const ticket = newTicket((this.#options.newReader ?? newReaderKey)(), this.#store.now())
    if (!(await this.#store.create(ticket, changes))) throw sessionContention('begin')
    this.#state.adopt(ticket, changes)
  }

  /**
   * Copies the session to another id first, then ends the old one if nobody wrote to it meanwhile: a crash in between
   * leaves a copy that no client knows of. False: somebody wrote.
   */
  async #moveTo(next: SessionTicket, old: SessionTicket, record: SessionRecord): Promise<boolean> {
    const data = new Map<string, Uint8Array | null>([...record.data, ...this.#changes])
    if (!(await this.#store.create(next, data))) return false
    const result = await this.#store.retire(old, record, next)
    if (result === 'updated') {
      this.#changes.clear()
      this.#state.adopt(next, data)
      return true
    }
    await this.#store.end(next)
    if (result === 'missing') throw sessionGone()
    return false
  }

  /** Runs a step after the earlier ones, and keeps in mind whether the store answered. */
  #step<T>(work: () => Promise<T>): Promise<T> {
    const step = this.#steps.then(work)
    this.#steps = step.then(() => (this.#failure = null), this.#noteFailure)
    return step
  }

  readonly #noteFailure = (error: unknown): void => {
    if (isFourfoldError(error, 'FF_SESSION_GONE')) {
      this.#changes.clear()
      this.#state.forget()
    } else if (isFourfoldError(error) && error.code.startsWith('FF_STORE_')) this.#failure = error
  }

  #refuseLate(): void {
    if (this.#closed) throw sessionLate()
  }
}
