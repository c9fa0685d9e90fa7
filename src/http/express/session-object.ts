/**
 * `req.session`: an object whose enumerable properties are the session's data, beside `cookie`. Its methods take
 * callbacks, as Express apps expect; they go to the store that the request came with.
 */

import type { IncomingMessage } from 'node:http'
import type { Cookie, CookieOptions } from './cookie.ts'
import type { Done, Store } from './store.ts'

/** A request that the session middleware has seen. */
export type SessionRequest = IncomingMessage & {
  session?: Session | null
  sessionID: string
  sessionStore: Store
}

/** What `req.session` can do, whoever made it. */
export interface SessionMethods {
  readonly id: string
  cookie: CookieOptions & { originalMaxAge: number | null; maxAge?: any; expires?: any }
  touch(): this
  resetMaxAge(): this
  save(done?: Done): this
  reload(done: Done): this
  destroy(done?: Done): this
  regenerate(done: Done): this
}

export class Session {
  declare readonly id: string
  declare readonly req: SessionRequest
  declare cookie: Cookie;
  [key: string]: any

  constructor(request: SessionRequest, data?: object | null) {
    Object.defineProperty(this, 'req', { value: request })
    Object.defineProperty(this, 'id', { value: request.sessionID })
    // What the store holds under the name of a method must not take its place.
    for (const [name, value] of Object.entries(data ?? {})) if (!(name in this)) this[name] = value
  }

  /** Begins the cookie's age anew. The middleware calls it with every request. */
  touch(): this {
    return this.resetMaxAge()
  }

  /** Begins the cookie's age anew. */
  resetMaxAge(): this {
    this.cookie.maxAge = this.cookie.originalMaxAge
    return this
  }

  /** Stores the session now. The middleware calls it when the answer ends and something changed. */
  save(done: Done = () => undefined): this {
    this.req.sessionStore.set(this.id, this, done)
    return this
  }

  /** Reads the session again: `req.session` is another object afterwards. */
  reload(done: Done = () => undefined): this {
    const { req } = this
    const store = req.sessionStore
    store.get(this.id, (error, data) => {
      if (error) return done(error)
      if (!data) return done(new Error('failed to load session'))
      store.createSession(req, data)
      done()
    })
    return this
  }

  /** Ends the session and takes `req.session` away. */
  destroy(done?: Done): this {
    const { req, id } = this
    const store = req.sessionStore
    const left = store.beforeLeaving?.(req)
    delete req.session
    if (left === undefined) store.destroy(id, done)
    else void left.then(() => store.destroy(id, done))
    return this
  }

  /** Ends the session and begins an empty one with another id: `req.session` is another object afterwards. */
  regenerate(done: Done = () => undefined): this {
    this.req.sessionStore.regenerate(this.req, done)
    return this
  }
}
