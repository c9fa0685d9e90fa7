/**
 * Fourfold for Express, 4 and 5. The default export stands in for express-session: the same call, the same options, the
 * same `req.session`, so that an app moves by changing one import, also where that is a `require`. `fourfold` gives
 * requests their `req.ff` where sessions stay with others.
 *
 * ```ts
 * import session from 'fourfold/express'
 * app.use(session({ ff, secret, resave: false, saveUninitialized: false }))
 * ```
 *
 * The types of the session's data and of `req.ff` grow by declaration:
 *
 * ```ts
 * declare module 'fourfold/express' {
 *   interface SessionData { userId: number }
 *   interface Register { schemas: { main: Schema } }
 * }
 * ```
 */

import type { Fourfold, Schemas } from '../app/fourfold.ts'
import { Cookie } from './express/cookie.ts'
import { createSessionMiddleware, type SessionMiddleware } from './express/middleware.ts'
import { MemoryStore } from './express/memory-store.ts'
import type { AnyStore, SessionOptions } from './express/options.ts'
import { giveInstance, originalTarget } from './express/request-part.ts'
import { Session, type SessionMethods } from './express/session-object.ts'
import { Store } from './express/store.ts'
import { answerError } from './error-answer.ts'
import { holdResponse } from './held-response.ts'
import { createLevels, type LevelOption } from './levels.ts'

/** Declare what your sessions hold here, by declaration merging. */
export interface SessionData {}

/** Declare `schemas` here, and every `req.ff` knows them. */
export interface Register {}

export type RegisteredSchemas = Register extends { schemas: infer S extends Schemas } ? S : Schemas

/** What the middleware adds to Express's requests. */
export interface RequestParts {
  /** This client's session. */
  session: SessionMethods & Partial<SessionData>
  sessionID: string
  sessionStore: AnyStore
  /** The app's instance for this request's reader, at this request's level. */
  readonly ff: Fourfold<RegisteredSchemas>
  /** The token for a form of this visitor: where `csrf()` is used. */
  csrfToken(): Promise<string>
}

declare global {
  // The name by which Express's types are extended. An app may still have @types/express-session, whose properties of
  // these names then win: so this extends instead of declaring them.
  namespace Express {
    interface Request extends RequestParts {}
  }
}

/** The session middleware, with the classes that express-session puts on it. */
export interface SessionFunction {
  (options?: SessionOptions): SessionMiddleware
  readonly Store: typeof Store
  readonly MemoryStore: typeof MemoryStore
  readonly Cookie: typeof Cookie
  readonly Session: typeof Session
}

const session: SessionFunction = Object.assign((options?: SessionOptions) => createSessionMiddleware(options), {
  Store,
  MemoryStore,
  Cookie,
  Session,
})

export interface FourfoldMiddlewareOptions {
  /** The opened app. */
  readonly ff: Fourfold<any>
  /** The level of a request's reads: one, by the path (`{ '/api': 'strict' }`), or a function of the request. Default, also for undefined: each database's own. */
  readonly level?: LevelOption<any>
  /** Whether answers tell what the cache did, in the field `Cache-Status`. Default false: it names the app's objects. */
  readonly cacheStatus?: boolean
}

/**
 * Gives requests their `req.ff`, without touching sessions: for replicas in an app whose sessions live elsewhere.
 *
 * ```ts
 * app.use(fourfold({ ff }))
 * ```
 */
export function fourfold({ ff, level, cacheStatus = false }: FourfoldMiddlewareOptions): SessionMiddleware {
  const levelOf = createLevels<any>(level, ff.pages, originalTarget)
  return (request, response, next) => {
    const part = giveInstance(request, ff, levelOf)
    part.cacheStatus ||= cacheStatus
    const prepare = part.claimAnswer()
    if (prepare !== undefined)
      holdResponse(response, { prepare, fail: (error) => answerError(request, response, error) })
    part.answerPage(response, next)
  }
}

export { Cookie, MemoryStore, Session, Store }
export { FourfoldStore, type FourfoldStoreOptions } from './express/fourfold-store.ts'
export type { CookieData, CookieOptions } from './express/cookie.ts'
export type { SessionMiddleware } from './express/middleware.ts'
export type { AnyStore, SessionOptions } from './express/options.ts'
export type { SessionMethods } from './express/session-object.ts'
export type { StoredSession } from './express/store.ts'

export { sendFile } from './send-file.ts'
export { sendResponse } from './jobs.ts'
export { csrf, rateLimit, type GuardMiddleware, type RateLimitMiddleware } from './guards/express.ts'
export type { CsrfOptions } from './guards/csrf.ts'
export type { RateLimitOptions } from './guards/rate-limit.ts'

export default session
// What `require` answers: express-session's own callers expect the function itself.
export { session as 'module.exports' }
