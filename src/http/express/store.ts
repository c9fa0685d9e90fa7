/**
 * What the session middleware asks of a store: the interface that connect-redis, connect-pg-simple and the others
 * implement. A function and not a class, since older stores inherit from it by `Store.call(this)`.
 */

import { EventEmitter } from 'node:events'
import { Cookie, type CookieData } from './cookie.ts'
import { Session, type SessionRequest } from './session-object.ts'

export type Done = (error?: any) => void

/** A session as it lies in a store. */
export interface StoredSession {
  cookie: CookieData
  [key: string]: any
}

/** `moved`: there was one, and another id goes on for its client. */
export type Found = (error?: any, session?: StoredSession | null, moved?: boolean) => void

export interface Store extends EventEmitter {
  get(id: string, found: Found): void
  set(id: string, session: Session | StoredSession, done?: Done): void
  destroy(id: string, done?: Done): void
  /** Puts the session's end off without writing its data. */
  touch?(id: string, session: Session | StoredSession, done?: Done): void
  all?(found: (error?: any, sessions?: any) => void): void
  length?(counted: (error?: any, length?: number) => void): void
  clear?(done?: Done): void

  /** Told before a request's session ends or gets another id, while the request still has it. */
  beforeLeaving?(request: SessionRequest): Promise<void> | undefined
  /** Ends this request's session and begins an empty one. */
  regenerate(request: SessionRequest, done: Done): void
  /** The session of an id outside a request. */
  load(id: string, found: (error?: any, session?: Session) => void): void
  /** Makes `req.session` of what the store gave. */
  createSession(request: SessionRequest, data: StoredSession): Session
  /** Begins an empty session: set by the middleware. */
  generate(request: SessionRequest): void
}

interface StoreConstructor {
  new (): Store
  (this: unknown): void
  readonly prototype: Store
}

export const Store: StoreConstructor = function (this: EventEmitter) {
  EventEmitter.call(this)
} as unknown as StoreConstructor

Object.setPrototypeOf(Store.prototype, EventEmitter.prototype)
Object.assign(Store.prototype, {
  regenerate(this: Store, request: SessionRequest, done: Done) {
    this.destroy(request.sessionID, (error) => {
      this.generate(request)
      done(error)
    })
  },

  load(this: Store, id: string, found: (error?: any, session?: Session) => void) {
    this.get(id, (error, data) => {
      if (error) return found(error)
      if (!data) return found()
      found(null, this.createSession({ sessionID: id, sessionStore: this } as SessionRequest, data))
    })
  },

  createSession(this: Store, request: SessionRequest, data: StoredSession) {
    const expires = data.cookie.expires
    const originalMaxAge = data.cookie.originalMaxAge
    const cookie = new Cookie(data.cookie)
    if (typeof expires === 'string') cookie.expires = new Date(expires)
    cookie.originalMaxAge = originalMaxAge
    const session = new Session(request, { ...data, cookie })
    request.session = session
    return session
  },
})
