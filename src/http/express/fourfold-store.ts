/**
 * Fourfold's central store as an express-session store. A session is written by the top-level properties that a
 * request has changed, and only if it still exists: requests that change different properties of one session both keep
 * their change, and a request that was under way at a logout revives nothing. For that the store remembers what each
 * session object was made of; with any express-session middleware, as long as it makes them by `createSession`.
 *
 * What has no such past (a new session, or plain data) is stored as a whole.
 */

import { systemClock, type Clock } from '../../core/clock.ts'
import { silentLogger, type Logger } from '../../core/log.ts'
import { sessionContention, sessionGone } from '../../sessions/session-errors.ts'
import { newReaderKey, type SessionTicket } from '../../sessions/session-record.ts'
import { SessionStore } from '../../sessions/session-store.ts'
import type { Store as CentralStore } from '../../store/store.ts'
import { FormerStore } from './former-store.ts'
import type { AnyStore } from './options.ts'
import { changesBetween, dataOf, readValues, valuesOf, type Values } from './session-values.ts'
import type { Session, SessionRequest } from './session-object.ts'
import { Store, type Done, type Found, type StoredSession } from './store.ts'

export interface FourfoldStoreOptions {
  readonly store: CentralStore
  /** A session whose cookie names no age is over when nobody used it for so long. Default: 7 days. */
  readonly idleMs?: number
  /** A session is over so long after it began. Default: 30 days. */
  readonly absoluteMs?: number
  readonly log?: Logger
  readonly clock?: Clock
  /** The store that the app comes from: its sessions are taken over, and changes are copied to it. */
  readonly former?: AnyStore
  /** How long the former store may take to answer. Default: 250 ms. */
  readonly deadlineMs?: number
}

/** What a session object was when it was read or written last. */
interface Past {
  readonly ticket: SessionTicket
  readonly copied: boolean
  values: Values
  touched: number
}

/** Ties a request's session to who reads there. */
export interface SessionBond {
  /** The reader of the session that the request has. */
  reader: string | null
  /** Whether the session got another id or ended. */
  handedOver: boolean
  newReader(): string
  beforeHandover(): Promise<void>
}

const dayMs = 24 * 3_600_000
const touchEveryMs = 60_000
const maxAttempts = 20

export class FourfoldStore extends Store {
  readonly #sessions: SessionStore
  readonly #clock: Clock
  readonly #log: Logger
  readonly #former: FormerStore | null
  readonly #pasts = new WeakMap<object, Past>()
  readonly #moved = new WeakSet<object>()
  readonly #bonds = new WeakMap<object, SessionBond>()

  constructor(options: FourfoldStoreOptions) {
    super()
    const { store, idleMs = 7 * dayMs, absoluteMs = 30 * dayMs, former, deadlineMs = 250 } = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLogger
    this.#sessions = new SessionStore(store, { idleMs, absoluteMs }, this.#clock)
    this.#former =
      former === undefined ? null : new FormerStore({ former, sessions: this.#sessions, log: this.#log, deadlineMs })
  }

  override get(id: string, found: Found): void {
    deliver(this.#read(id), (error, data) => found(error, data === 'moved' ? null : data, data === 'moved'))
  }

  override set(id: string, session: Session | StoredSession, done: Done = ignore): void {
    deliver(this.#write(id, session), done)
  }

  override destroy(id: string, done: Done = ignore): void {
    deliver(this.#end(id), done)
  }

  /** Failing to put the end off is no reason to fail a request: the next one tries again. */
  override touch(id: string, session: Session | StoredSession, done: Done = ignore): void {
    const failed = (error: unknown): void => this.#log.warn({ error }, "a session's end could not be put off")
    deliver(this.#touch(id, session).catch(failed), done)
  }

  override createSession(request: SessionRequest, data: StoredSession): Session {
    const past = this.#pasts.get(data)
    const session = super.createSession(request, data)
    if (past === undefined) return session
    this.#pasts.set(session, past)
    const bond = this.#bonds.get(request)
    if (bond !== undefined) bond.reader = past.ticket.reader
    return session
  }

  override beforeLeaving(request: SessionRequest): Promise<void> | undefined {
    const bond = this.#bonds.get(request)
    if (bond === undefined) return undefined
    bond.handedOver = true
    return bond.beforeHandover().then(() => void (bond.reader = null))
  }

  /** The old id is worthless from then on, and tells requests under way that they come too late. */
  override regenerate(request: SessionRequest, done: Done = ignore): void {
    const past = request.session ? this.#pasts.get(request.session) : undefined
    this.#moved.delete(request)
    const bond = this.#bonds.get(request)
    const reader = bond?.reader ?? null
    const left = this.beforeLeaving(request)
    const begin = async (): Promise<void> => {
      await left
      // Another session, and the same reader: what was written before a login is seen after it.
      if (bond !== undefined) bond.reader = reader
      this.generate(request)
      // A session without a past was never stored.
      if (past !== undefined) await this.#supersede(past, request.sessionID)
    }
    deliver(begin(), done)
  }

  /** The data of a session, or that another id goes on with it. */
  async #read(id: string): Promise<StoredSession | 'moved' | null> {
    const ticket = { id, reader: '', created: 0 }
    let record = await this.#sessions.read(ticket)
    if (record === null && this.#former !== null) {
      const adopted = await this.#former.adopt(id)
      if (adopted) record = await this.#sessions.read(ticket)
    }
    // What is over here must not live on there, for an app that goes back.
    if (record === 'moved') await this.#former?.tryToForget(id)
    if (record === null || record === 'moved') return record
    const values = readValues(record.data)
    const data = dataOf(values)
    const { reader, created, touched, copied } = record
    this.#pasts.set(data, { ticket: { id, reader, created }, values, touched, copied })
    return data
  }

  /** Whether {@link FourfoldStore.touch} would write: it does at most once a minute. */
  isTouchDue(session: Session): boolean {
    const past = this.#pasts.get(session)
    const idleMs = ageOf(session)
    return (idleMs !== undefined && idleMs <= 0) || (past !== undefined && this.#isTouchDue(past, idleMs))
  }

  /** Ties a request's session to who reads there. */
  bind(request: object, bond: SessionBond): void {
    this.#bonds.set(request, bond)
  }

  /** Notes that this client's session goes on under an id that this request does not know. */
  noteMoved(request: object): void {
    this.#moved.add(request)
  }

  hasMoved(request: object): boolean {
    return this.#moved.has(request)
  }

  async #write(id: string, session: Session | StoredSession): Promise<void> {
    const past = this.#pasts.get(session)
    const values = valuesOf(session)
    const idleMs = ageOf(session)
    if (idleMs !== undefined && idleMs <= 0) return this.#end(id)
    if (past === undefined || past.ticket.id !== id) await this.#writeWhole(id, session, values, idleMs)
    else await this.#writeChanges(past, values, idleMs, session)
    await this.#former?.copy(id)
  }

  async #writeChanges(
    past: Past,
    values: Values,
    idleMs: number | undefined,
    session: Session | StoredSession,
  ): Promise<void> {
    const changes = changesBetween(past.values, values)
    if (changes.size === 0 && !this.#isTouchDue(past, idleMs)) return
    const result = await this.#sessions.write({ ...past.ticket, idleMs }, withCookie(changes, values))
    if (result !== 'updated') throw sessionGone()
    past.values = values
    // An app that saves by itself does so before the answer begins the cookie's age anew: that is still to come.
    const { originalMaxAge } = (session.cookie ?? {}) as { originalMaxAge?: number | null }
    past.touched = this.#clock.now() - Math.max(0, (originalMaxAge ?? 0) - (idleMs ?? 0))
  }

  async #writeWhole(
    id: string,
    session: Session | StoredSession,
    values: Values,
    idleMs: number | undefined,
  ): Promise<void> {
    const request = (session as Partial<Session>).req
    const bond = request === undefined ? undefined : this.#bonds.get(request)
    const reader = bond?.reader ?? bond?.newReader() ?? newReaderKey()
    const ticket = { id, reader, created: this.#clock.now(), idleMs }
    const copied = this.#former !== null
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      if (await this.#sessions.create(ticket, values, { copied })) {
        this.#pasts.set(session, { ticket, values, touched: ticket.created, copied })
        if (bond !== undefined) bond.reader = reader
        return
      }
      const there = await this.#sessions.read(ticket)
      if (there === 'moved') throw sessionGone()
      if (there === null) continue
      const held = { ...ticket, created: there.created }
      const result = await this.#sessions.write(held, changesBetween(there.data, values))
      if (result === 'updated') return
    }
    throw sessionContention('save')
  }

  async #touch(id: string, session: Session | StoredSession): Promise<void> {
    const past = this.#pasts.get(session)
    const idleMs = ageOf(session)
    if (idleMs !== undefined && idleMs <= 0) return this.#end(id)
    if (past === undefined || !this.#isTouchDue(past, idleMs)) return
    past.touched = this.#clock.now()
    const cookie = Buffer.from(JSON.stringify(session.cookie))
    await this.#sessions.write({ ...past.ticket, idleMs }, new Map([['cookie', cookie]]))
    await this.#former?.copy(id)
  }

  /** At most once a minute, and often enough for short ages. */
  #isTouchDue(past: Past, idleMs = this.#sessions.limits.idleMs): boolean {
    return this.#clock.now() - past.touched >= Math.min(touchEveryMs, idleMs / 4)
  }

  async #end(id: string): Promise<void> {
    if (typeof id !== 'string') return
    const ticket = { id, reader: '', created: this.#clock.now() }
    if (this.#former !== null) return this.#former.end(ticket)
    const record = await this.#sessions.read(ticket)
    if (record !== null && record !== 'moved' && record.copied) await this.#sessions.bury(ticket)
    else await this.#sessions.end(ticket)
  }

  async #supersede({ ticket, values, copied }: Past, next: string): Promise<void> {
    await this.#sessions.supersede(ticket, [...values.keys()], { ...ticket, id: next }, { copied })
    await this.#former?.forget(ticket.id)
  }
}

/** The cookie's dates change with each use, and are no reason to write. */
function withCookie(changes: Map<string, Uint8Array | null>, values: Values): Map<string, Uint8Array | null> {
  const cookie = values.get('cookie')
  return cookie === undefined ? changes : changes.set('cookie', cookie)
}

function ignore(): void {}

/** A promise's outcome for a callback, which may throw like any other callback. */
function deliver<T>(promise: Promise<T>, done: (error?: any, value?: T) => void): void {
  promise.then(
    (value) => process.nextTick(done, null, value),
    (error: unknown) => process.nextTick(done, error),
  )
}

/** How long a session may be unused, by its cookie. Undefined: the cookie does not say. */
function ageOf(session: Session | StoredSession): number | undefined {
  const { maxAge, expires } = (session.cookie ?? {}) as { maxAge?: unknown; expires?: unknown }
  const age = typeof maxAge === 'number' ? maxAge : expires ? new Date(expires as string).getTime() - Date.now() : null
  return age === null || !Number.isFinite(age) ? undefined : Math.ceil(age)
}
