/** The guards for `withFourfold` and plain `node:http` listeners. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { CsrfGuard, checkToken, giveToken, placeIn, tokenOf, type CsrfOptions } from './csrf.ts'
import { createRateLimit, type LimitCounts, type RateLimitOptions } from './rate-limit.ts'

/** A request with a session of Fourfold's. */
type SessionRequest = IncomingMessage & {
  readonly session: { get(key: string): Promise<unknown>; set(key: string, value: unknown): void }
}

export interface CsrfCheck {
  /**
   * Refuses a request that another site made a browser send. `body`: the form's fields, where the token is in one.
   *
   * @throws FF_HTTP_CROSS_ORIGIN, FF_HTTP_CSRF_TOKEN
   */
  check(request: SessionRequest, body?: unknown): Promise<void>
  /** The token for a form of this visitor. */
  token(request: SessionRequest): Promise<string>
}

/**
 * ```ts
 * const guard = csrf()
 * createServer(withFourfold(ff, async (request, response) => {
 *   await guard.check(request)
 *   …
 * }))
 * ```
 */
export function csrf(options: CsrfOptions = {}): CsrfCheck {
  const guard = new CsrfGuard(options)
  return {
    check: async (request, body) => {
      if (!guard.checkOrigin({ method: request.method ?? '', raw: request })) return
      await checkToken(placeIn(request.session), tokenOf(request.headers, body))
    },
    token: (request) => giveToken(placeIn(request.session)),
  }
}

export interface RateLimitCheck<Request> {
  readonly counts: Readonly<LimitCounts>
  /** @throws FF_HTTP_RATE_LIMITED */
  check(request: Request, response: ServerResponse): Promise<void>
}

/** Limits how often a client may ask, on all clones together: `await limit.check(request, response)`. */
export function rateLimit<Request extends IncomingMessage>(
  options: RateLimitOptions<Request>,
): RateLimitCheck<Request> {
  const limit = createRateLimit(options)
  return {
    counts: limit.counts,
    check: (request, response) =>
      limit.check(request, request, (headers) => {
        for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
      }),
  }
}
