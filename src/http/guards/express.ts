/** The guards for Express. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { CsrfGuard, checkToken, giveToken, tokenOf, type CsrfOptions, type SecretPlace } from './csrf.ts'
import { csrfKey } from './csrf-token.ts'
import { createRateLimit, type LimitCounts, type RateLimitOptions } from './rate-limit.ts'

type Next = (error?: any) => void
type SessionHolder = IncomingMessage & { session?: Record<string, unknown> | null; body?: unknown }

/** Middleware, as Express takes it. */
export type GuardMiddleware = (request: any, response: any, next: Next) => void

/**
 * Refuses requests that another site makes a browser send; `await req.csrfToken()` gives the token for older browsers.
 * After the session, and after whatever parses bodies.
 *
 * ```ts
 * app.use(csrf())
 * ```
 */
export function csrf(options: CsrfOptions = {}): GuardMiddleware {
  const guard = new CsrfGuard(options)
  const check = async (request: SessionHolder): Promise<void> => {
    if (!guard.checkOrigin({ method: request.method ?? '', raw: request })) return
    await checkToken(placeOf(request), tokenOf(request.headers, request.body))
  }
  return (request: SessionHolder, _response, next) => {
    Object.assign(request, { csrfToken: () => giveToken(placeOf(request)) })
    check(request).then(() => next(), next)
  }
}

/** Middleware that limits, and how often it let through and refused. */
export interface RateLimitMiddleware extends GuardMiddleware {
  readonly counts: Readonly<LimitCounts>
}

/**
 * Limits how often a client may ask, on all clones together.
 *
 * ```ts
 * app.post('/login', rateLimit({ ff, name: 'login', limit: 5, window: '1m' }), login)
 * ```
 */
export function rateLimit(options: RateLimitOptions<any>): RateLimitMiddleware {
  const limit = createRateLimit(options)
  const middleware = (request: IncomingMessage, response: ServerResponse, next: Next): void => {
    const tell = (headers: Readonly<Record<string, string>>): void => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    }
    limit.check(request, request, tell).then(() => next(), next)
  }
  return Object.assign(middleware, { counts: limit.counts })
}

/** @throws TypeError where no session middleware came before */
function placeOf(request: SessionHolder): SecretPlace {
  return {
    read: () => request.session?.[csrfKey],
    write: (secret) => {
      if (!request.session) throw new TypeError('csrf() needs a session: register the session middleware before it')
      request.session[csrfKey] = secret
    },
  }
}
