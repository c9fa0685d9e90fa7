/** The guards for Hono. */

import type { Context, MiddlewareHandler } from 'hono'
import type { RawRequest } from '../secure.ts'
import { CsrfGuard, checkToken, giveToken, placeIn, tokenOf, type CsrfOptions } from './csrf.ts'
import { createRateLimit, type LimitCounts, type RateLimitOptions } from './rate-limit.ts'

declare module 'hono' {
  interface ContextVariableMap {
    /** Gives the token for a form of this visitor: where `csrf` is used. */
    readonly csrfToken: () => Promise<string>
  }
}

export type RawOf = (c: Context) => RawRequest

export function createCsrf(rawOf: RawOf, options: CsrfOptions): MiddlewareHandler {
  const guard = new CsrfGuard(options)
  return async (c, next) => {
    const raw = rawOf(c)
    c.set('csrfToken', () => giveToken(placeIn(c.get('session'))))
    if (guard.checkOrigin({ method: c.req.method, raw })) {
      const token = tokenOf(raw.headers, undefined) ?? tokenOf({}, await formOf(c))
      await checkToken(placeIn(c.get('session')), token)
    }
    await next()
  }
}

export interface RateLimitHandler extends MiddlewareHandler {
  readonly counts: Readonly<LimitCounts>
}

export function createLimit(rawOf: RawOf, options: RateLimitOptions<Context>): RateLimitHandler {
  const limit = createRateLimit(options)
  const handler: MiddlewareHandler = async (c, next) => {
    await limit.check(c, rawOf(c), (headers) => {
      for (const [name, value] of Object.entries(headers)) c.header(name, value)
    })
    await next()
  }
  return Object.assign(handler, { counts: limit.counts })
}

/** A form's fields; what is no form carries its token in the header. */
async function formOf(c: Context): Promise<unknown> {
  const type = c.req.header('content-type') ?? ''
  return /^(?:application\/x-www-form-urlencoded|multipart\/form-data)\b/i.test(type) ? c.req.parseBody() : undefined
}
