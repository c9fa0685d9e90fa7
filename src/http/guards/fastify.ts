/** The guards for Fastify. */

import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { CsrfGuard, checkToken, giveToken, placeIn, tokenOf, type CsrfOptions } from './csrf.ts'
import { createRateLimit, type LimitCounts, type RateLimitOptions } from './rate-limit.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The token for a form of this visitor: where `csrf` is registered. */
    csrfToken(): Promise<string>
  }
}

const csrfPlugin: FastifyPluginAsync<CsrfOptions> = async (app, options) => {
  const guard = new CsrfGuard(options)
  const waiting = new WeakSet<FastifyRequest>()
  app.decorateRequest('csrfToken', function (this: FastifyRequest) {
    return giveToken(placeIn(this.session))
  })
  // Before the body is read; the token may be in it.
  app.addHook('onRequest', async (request: FastifyRequest) => {
    if (guard.checkOrigin({ method: request.method, raw: request.raw })) waiting.add(request)
  })
  app.addHook('preHandler', async (request: FastifyRequest) => {
    if (waiting.has(request)) await checkToken(placeIn(request.session), tokenOf(request.headers, request.body))
  })
}

/**
 * Refuses requests that another site makes a browser send; `request.csrfToken()` gives the token for older browsers.
 * Holds for the whole app, also outside the scope it is registered in.
 *
 * ```ts
 * await app.register(csrf)
 * ```
 */
export const csrf: FastifyPluginAsync<CsrfOptions> = Object.assign(csrfPlugin, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'fourfold-csrf',
})

/** A hook, and how often it let through and refused. */
export interface RateLimitHook {
  (request: FastifyRequest, reply: FastifyReply): Promise<void>
  readonly counts: Readonly<LimitCounts>
}

/**
 * A hook that limits how often a client may ask, on all clones together.
 *
 * ```ts
 * app.post('/login', { onRequest: rateLimit({ ff, name: 'login', limit: 5, window: '1m' }) }, login)
 * ```
 */
export function rateLimit(options: RateLimitOptions<FastifyRequest>): RateLimitHook {
  const limit = createRateLimit(options)
  const hook = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    await limit.check(request, request.raw, (headers) => void reply.headers(headers))
  }
  return Object.assign(hook, { counts: limit.counts })
}
