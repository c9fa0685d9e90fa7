/**
 * Fourfold for `node:http`, and for whatever takes its listeners: `request.ff` and `request.session` as in the Fastify
 * plugin, the same promise about what is stored before the answer, and an answer for errors.
 */

import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { Fourfold, Schemas } from '../app/fourfold.ts'
import type { IncomingRequest } from '../app/define-app.ts'
import { isFourfoldError } from '../core/errors.ts'
import { writeAnswer } from '../pages/answer.ts'
import type { Session } from '../sessions/session.ts'
import { answerError } from './error-answer.ts'
import { holdResponse } from './held-response.ts'
import { createLevels, type LevelOption } from './levels.ts'
import { findJobAnswer, sendResponse } from './jobs.ts'
import { findPageAnswer } from './pages.ts'
import { addAnswer, RequestContext } from './request-context.ts'

export { serveAssets, type AssetHandler, type ServeAssetsOptions } from './assets.ts'

/** A request with what Fourfold gives it. */
export type FourfoldRequest<S extends Schemas = Schemas> = IncomingMessage & {
  readonly method: string
  readonly url: string
  readonly ff: Fourfold<S>
  readonly session: Session
}

export type FourfoldHandler<S extends Schemas = Schemas> = (
  request: FourfoldRequest<S>,
  response: ServerResponse,
) => void | Promise<void>

export interface WithFourfoldOptions<S extends Schemas = Schemas> {
  /** The level of a request's reads: one, by the path (`{ '/api': 'strict' }`), or a function of the request. Default, also for undefined: each database's own. */
  readonly level?: LevelOption<FourfoldRequest<S>>
  /** Whether answers tell what the cache did, in the field `Cache-Status`. Default false: it names the app's objects. */
  readonly cacheStatus?: boolean
}

/**
 * Wraps a handler for `node:http`.
 *
 * ```ts
 * createServer(withFourfold(ff, async (request, response) => {
 *   const visits = await request.session.update<number>('visits', (count = 0) => count + 1)
 *   response.end(`visit ${visits}`)
 * }))
 * ```
 *
 * A handler that throws is answered by the error's `statusCode` (else 500), as HTML where the client asks for it, else
 * as JSON.
 */
export function withFourfold<S extends Schemas>(
  ff: Fourfold<S>,
  handler: FourfoldHandler<S>,
  options: WithFourfoldOptions<S> = {},
): RequestListener {
  const levelOf = createLevels<FourfoldRequest<S>>(options.level, ff.pages, ({ url }) => url)
  return (raw, response) => {
    const request = raw as FourfoldRequest<S>
    const { cacheStatus } = options
    const context = new RequestContext<Fourfold<S>>({
      host: ff,
      raw,
      identify: ff.identify === undefined ? undefined : () => ff.identify?.(request as IncomingRequest),
      level: () => levelOf(request),
      cacheStatus,
    })
    Object.defineProperties(raw, { ff: { get: () => context.ff }, session: { get: () => context.session } })

    const fail = (error: unknown): void => {
      if (!isFourfoldError(error)) ff.log.error({ error, url: raw.url }, 'a request failed')
      answerError(raw, response, error)
    }
    const handle = (): void => {
      const begun = holdResponse(response, {
        prepare: (statusCode, head) => addAnswer(context, statusCode, head),
        fail,
      })
      run(handler, request, response).catch((error: unknown) => {
        if (!begun()) return fail(error)
        ff.log.error({ error, url: raw.url }, 'a request failed after its answer had begun')
        response.destroy()
      })
    }
    const job = findJobAnswer(ff, () => context, raw)
    if (job !== null) return void job.then((answer) => sendResponse(response, answer)).catch(fail)
    const page = ff.pages.match(raw)
    if (page === null) return handle()
    findPageAnswer(ff, context, page, raw)
      .then((answer) => (answer === null ? handle() : writeAnswer(response, answer)))
      .catch(fail)
  }
}

async function run<S extends Schemas>(
  handler: FourfoldHandler<S>,
  request: FourfoldRequest<S>,
  response: ServerResponse,
): Promise<void> {
  await handler(request, response)
}

export { sendFile } from './send-file.ts'
export { sendResponse } from './jobs.ts'
export { csrf, rateLimit, type CsrfCheck, type RateLimitCheck } from './guards/node.ts'
export type { CsrfOptions } from './guards/csrf.ts'
export type { RateLimitOptions } from './guards/rate-limit.ts'
