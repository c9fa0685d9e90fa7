/**
 * Fourfold for Hono: `c.get('ff')` or `c.var.ff`, the app's instance scoped to the request's reader, and
 * `c.get('session')`. Both are made when first asked for. What a handler changed is stored before its answer goes out;
 * if that fails, the failure is the answer, through the app's own `onError`.
 *
 * ```ts
 * const app = new Hono()
 * app.use(fourfold({ ff }))
 * app.get('/me', async (c) => c.json({ user: (await c.get('session').get('user')) ?? null }))
 * ```
 *
 * `createAdaptorServer({ fetch: app.fetch })` of @hono/node-server makes the server that `defineApp` takes.
 */

import type { IncomingMessage } from 'node:http'
import type { Context, MiddlewareHandler } from 'hono'
import type { IncomingRequest } from '../app/define-app.ts'
import type { Fourfold, Schemas } from '../app/fourfold.ts'
import type { PageAnswer } from '../pages/answer.ts'
import type { Session } from '../sessions/session.ts'
import type { CsrfOptions } from './guards/csrf.ts'
import { createCsrf, createLimit, type RateLimitHandler } from './guards/hono.ts'
import type { RateLimitOptions } from './guards/rate-limit.ts'
import type { Head } from './held-response.ts'
import { createLevels, type LevelOption } from './levels.ts'
import { findJobAnswer } from './jobs.ts'
import { findPageAnswer } from './pages.ts'
import { addAnswer, RequestContext } from './request-context.ts'
import type { RawRequest } from './secure.ts'

/** Declare `schemas` here, by declaration merging, and every `c.get('ff')` knows them. */
export interface Register {}

export type RegisteredSchemas = Register extends { schemas: infer S extends Schemas } ? S : Schemas

declare module 'hono' {
  interface ContextVariableMap {
    /** The app's instance for this request's reader, at this request's level. */
    readonly ff: Fourfold<RegisteredSchemas>
    /** This client's session, read from the store when first needed. */
    readonly session: Session
  }
}

export interface FourfoldMiddlewareOptions {
  /** The opened app. */
  readonly ff: Fourfold<any>
  /** The level of a request's reads: one, by the path (`{ '/api': 'strict' }`), or a function of the request. Default, also for undefined: each database's own. */
  readonly level?: LevelOption<Context>
  /** Whether answers tell what the cache did, in the field `Cache-Status`. Default false: it names the app's objects. */
  readonly cacheStatus?: boolean
}

type Requests = RequestContext<Fourfold<RegisteredSchemas>>

/** The middleware. Register it before whatever uses what it gives. */
export function fourfold({ ff, level, cacheStatus }: FourfoldMiddlewareOptions): MiddlewareHandler {
  const levelOf = createLevels<Context>(level, ff.pages, (c) => new URL(c.req.url).pathname)
  return async (c, next) => {
    const context: Requests = new RequestContext<Fourfold<RegisteredSchemas>>({
      host: ff,
      raw: rawRequest(c),
      identify: ff.identify === undefined ? undefined : () => ff.identify?.(incomingRequest(c, context)),
      level: () => levelOf(c),
      cacheStatus,
    })
    giveVariables(c, context)
    const job = findJobAnswer(ff, () => context, pageTarget(c))
    if (job !== null) return await job
    const page = ff.pages.match(pageTarget(c))
    const answer = page && (await findPageAnswer(ff, context, page, pageTarget(c)))
    if (answer !== null) return pageResponse(answer)
    await next()
    await addAnswer(context, c.res.status, headOf(c))
    return undefined
  }
}

function pageTarget(c: Context): { method: string; url: string; headers: RawRequest['headers'] } {
  const { pathname, search } = new URL(c.req.url)
  return { method: c.req.method, url: pathname + search, headers: rawRequest(c).headers }
}

function pageResponse({ status, headers, body }: PageAnswer): Response {
  const fields = Array.from({ length: headers.length / 2 }, (_, at): [string, string] => [
    headers[2 * at]!,
    headers[2 * at + 1]!,
  ])
  return new Response(body as Uint8Array<ArrayBuffer> | null, { status, headers: fields })
}

/** Variables that are made when first asked for; Hono's own are made when the middleware runs. */
function giveVariables(c: Context, context: Requests): void {
  const made = {
    get ff(): Fourfold<RegisteredSchemas> {
      return context.ff
    },
    get session(): Session {
      return context.session
    },
  }
  const { get } = c
  const own = (): object => Reflect.get(Object.getPrototypeOf(c) as object, 'var', c) as object
  c.get = ((key: string) => (key in made ? made[key as keyof typeof made] : get(key as never))) as typeof c.get
  Object.defineProperty(c, 'var', {
    configurable: true,
    get: () => Object.defineProperties(own(), Object.getOwnPropertyDescriptors(made)),
  })
}

function headOf(c: Context): Head {
  return {
    append: (name, value) => {
      for (const one of typeof value === 'string' ? [value] : value) c.header(name, one, { append: true })
    },
    set: (name, value) => c.header(name, value),
  }
}

/** On Node, the request beneath; elsewhere and in tests its headers alone. */
function rawRequest(c: Context): RawRequest {
  const { incoming } = (c.env ?? {}) as { incoming?: IncomingMessage }
  return incoming ?? { headers: Object.fromEntries(c.req.raw.headers) }
}

function incomingRequest(c: Context, context: Requests): IncomingRequest {
  const { pathname, search } = new URL(c.req.url)
  return {
    method: c.req.method,
    url: pathname + search,
    headers: rawRequest(c).headers,
    get session() {
      return context.session
    },
  }
}

/**
 * Refuses requests that another site makes a browser send; `await c.get('csrfToken')()` gives the token for older
 * browsers. After `fourfold`.
 */
export function csrf(options: CsrfOptions = {}): MiddlewareHandler {
  return createCsrf(rawRequest, options)
}

/**
 * Limits how often a client may ask, on all clones together.
 *
 * ```ts
 * app.post('/login', rateLimit({ ff, name: 'login', limit: 5, window: '1m' }), login)
 * ```
 */
export function rateLimit(options: RateLimitOptions<Context>): RateLimitHandler {
  return createLimit(rawRequest, options)
}

export type { RateLimitHandler } from './guards/hono.ts'
export type { CsrfOptions } from './guards/csrf.ts'
export type { RateLimitOptions } from './guards/rate-limit.ts'
export default fourfold
