/** The answers to requests for jobs, before any route of the app is asked; and web answers on `node:http`. */

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import type { ServerResponse } from 'node:http'
import type { Fourfold } from '../app/fourfold.ts'
import type { ResourceRequest } from '../jobs/http/resource.ts'
import type { RequestContext } from './request-context.ts'

/**
 * With what the request's context adds to its answer. Null: the address is of no job.
 *
 * @param ending the server ends: nobody is kept waiting
 */
export function findJobAnswer(
  ff: Fourfold<any>,
  context: () => RequestContext<Fourfold<any>>,
  request: ResourceRequest,
  ending?: AbortSignal,
): Promise<Response> | null {
  return ff.jobs.covers(request.url) ? answerWith(context(), request, ending) : null
}

async function answerWith(
  context: RequestContext<Fourfold<any>>,
  request: ResourceRequest,
  ending: AbortSignal | undefined,
): Promise<Response> {
  const answer = await context.ff.jobs.answer(request, ending)
  const { cookies, headers } = await context.finish(answer.status)
  for (const [name, value] of Object.entries(headers)) answer.headers.set(name, value)
  for (const cookie of cookies) answer.headers.append('set-cookie', cookie)
  return answer
}

/**
 * Sends a web `Response`, such as that of `ff.jobs.accept`. Resolves when it is sent, or when its reader has gone.
 *
 * ```ts
 * await sendResponse(response, await request.ff.jobs.accept(exportPosts, { userId }, request))
 * ```
 */
export async function sendResponse(target: ServerResponse, answer: Response): Promise<void> {
  target.statusCode = answer.status
  for (const [name, value] of answer.headers) {
    // HTTP/2 knows none.
    if (name === 'connection' && (target.req?.httpVersionMajor ?? 1) > 1) continue
    if (name === 'set-cookie') target.appendHeader(name, value)
    else target.setHeader(name, value)
  }
  const { body } = answer
  if (body === null || target.req?.method === 'HEAD') {
    await body?.cancel()
    target.end()
    return
  }
  // Whoever does not read any more has taken the stream with them.
  await pipeline(Readable.fromWeb(body as import('node:stream/web').ReadableStream), target).catch(() => undefined)
}
