/**
 * Fourfold for Fastify: `request.ff`, the app's instance scoped to the request's reader, and `request.session`. Both
 * are made when first asked for. What a handler changed is stored before its answer goes out; if that fails, the
 * failure is the answer, through the app's own error handler.
 *
 * The types of `request.ff` know the databases of the app after one declaration:
 *
 * ```ts
 * declare module 'fourfold/fastify' { interface Register { schemas: { main: Schema } } }
 * ```
 */

import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import type { Fourfold, Schemas } from '../app/fourfold.ts'
import type { Level } from '../freshness/level.ts'
import type { Session } from '../sessions/session.ts'
import { writeAnswer } from '../pages/answer.ts'
import { createLevels, type LevelOption } from './levels.ts'
import { findJobAnswer, sendResponse } from './jobs.ts'
import { findPageAnswer } from './pages.ts'
import { RequestContext } from './request-context.ts'

/** Declare `schemas` here, by declaration merging, and every `request.ff` knows them. */
export interface Register {}

export type RegisteredSchemas = Register extends { schemas: infer S extends Schemas } ? S : Schemas

declare module 'fastify' {
  interface FastifyRequest {
    /** The app's instance for this request's reader, at this request's level. */
    readonly ff: Fourfold<RegisteredSchemas>
    /** This client's session, read from the store when first needed. */
    readonly session: Session
  }
}

export interface FourfoldPluginOptions {
  /** The opened app. */
  readonly ff: Fourfold<any>
  /** The level of a request's reads: one, by the path (`{ '/api': 'strict' }`), or a function of the request. Default, also for undefined: each database's own. */
  readonly level?: LevelOption<FastifyRequest>
  /** Whether answers tell what the cache did, in the field `Cache-Status`. Default false: it names the app's objects. */
  readonly cacheStatus?: boolean
}

type Context = RequestContext<Fourfold<RegisteredSchemas>>

const fourfoldPlugin: FastifyPluginAsync<FourfoldPluginOptions> = async (app, options) => {
  // A field and no WeakMap: whose keys come and go with every request, each collection of garbage must look through.
  const field = Symbol('fourfold')
  type Held = FastifyRequest & { [field]?: Context | null }

  function contextOf(request: FastifyRequest): Context {
    return ((request as Held)[field] ??= openContext(request, options, levelOf))
  }

  const levelOf = createLevels<FastifyRequest>(options.level, options.ff.pages, ({ raw }) => raw.url ?? '')
  app.decorateRequest(field, null)
  app.decorateRequest('ff', {
    getter(this: FastifyRequest) {
      return contextOf(this).ff
    },
  })
  app.decorateRequest('session', {
    getter(this: FastifyRequest) {
      return contextOf(this).session
    },
  })
  // Else those who follow a job would be waited for, for as long as that takes.
  const ending = new AbortController()
  app.addHook('preClose', async () => ending.abort())
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    const job = findJobAnswer(options.ff, () => contextOf(request), request.raw, ending.signal)
    if (job !== null) {
      const answer = await job
      reply.hijack()
      await sendResponse(reply.raw, answer)
      return
    }
    const page = options.ff.pages.match(request.raw)
    if (page === null) return
    const answer = await findPageAnswer(options.ff, contextOf(request), page, request.raw)
    if (answer === null) return
    reply.hijack()
    writeAnswer(reply.raw, answer)
  })
  app.addHook('onSend', async (request: FastifyRequest, reply: FastifyReply) => {
    const context = (request as Held)[field]
    // Undefined: of a part of the app that was registered before this plugin.
    if (context === null || context === undefined) return
    const answer = await context.finish(reply.statusCode)
    for (const cookie of answer.cookies) reply.header('set-cookie', cookie)
    reply.headers(answer.headers)
  })
}

function openContext(
  request: FastifyRequest,
  { ff, cacheStatus }: FourfoldPluginOptions,
  levelOf: (request: FastifyRequest) => Level | undefined,
): Context {
  return new RequestContext<Fourfold<RegisteredSchemas>>({
    host: ff,
    raw: request.raw,
    identify: ff.identify === undefined ? undefined : () => ff.identify?.(request),
    level: () => levelOf(request),
    cacheStatus,
  })
}

/** Registers Fourfold for the whole app, also outside the scope it is registered in. */
export const fourfold: FastifyPluginAsync<FourfoldPluginOptions> = Object.assign(fourfoldPlugin, {
  [Symbol.for('skip-override')]: true,
  [Symbol.for('fastify.display-name')]: 'fourfold',
})

export { fileRoutes, sendAnswer, type FileRoutesOptions } from './fastify-files.ts'
export { csrf, rateLimit, type RateLimitHook } from './guards/fastify.ts'
export type { CsrfOptions } from './guards/csrf.ts'
export type { RateLimitOptions } from './guards/rate-limit.ts'
export default fourfold
