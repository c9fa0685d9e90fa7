/** The answer to a request for a page of the app, before any route of the app is asked. */

import type { Fourfold } from '../app/fourfold.ts'
import type { PageAnswer, PageRequest } from '../pages/answer.ts'
import type { FoundPage } from '../pages/pages.ts'
import type { PageMatch } from '../pages/routes.ts'
import { isScripted } from '../pages/readers.ts'
import type { RequestContext } from './request-context.ts'

/**
 * The page as fresh as the request's reader needs it; null where the app's own route is to answer.
 *
 * @throws what the render throws
 */
export async function findPageAnswer(
  ff: Fourfold<any>,
  context: RequestContext<Fourfold<any>>,
  match: PageMatch,
  request: PageRequest,
): Promise<PageAnswer | null> {
  const answer = await findPage(ff, context, match, request)
  if (answer === null) return null
  const { cookies, headers } = await context.finish(answer.status)
  const more = Object.entries(headers).flat()
  if (cookies.length === 0) return { ...answer, headers: [...answer.headers, ...more] }
  const set = cookies.flatMap((cookie) => ['set-cookie', cookie])
  return { ...answer, headers: [...ownHeaders(answer.headers), ...more, ...set] }
}

/** The same without what the request's context adds to its answer. */
export async function findPage(
  ff: Fourfold<any>,
  context: RequestContext<Fourfold<any>>,
  match: PageMatch,
  request: PageRequest,
): Promise<PageAnswer | null> {
  const { readers = 'everybody' } = ff.pages.routes.routes[match.route]!
  // What the request's headers tell has been looked at; what the app's own `identify` knows, or a session of its own, has not.
  const { cookie = '' } = request.headers
  const known = readers !== 'everybody' && !isScripted(readers, cookie) && (await context.isKnown())
  if (known) return null
  const found = await ff.pages.find(match, context.ff.scope)
  if (found === null) return null
  const answer = found.page.answer(request)
  return { ...answer, headers: [...answer.headers, 'cache-status', statusOf(found)] }
}

/** Of an answer that sets a cookie: that is one reader's alone, so nobody may keep the answer for others. */
export function ownHeaders(headers: readonly string[]): string[] {
  return [
    ...withoutField(withoutField(headers, 'cache-control'), 'cdn-cache-control'),
    'cache-control',
    'private, no-cache',
  ]
}

function withoutField(headers: readonly string[], name: string): string[] {
  return headers.filter((_, at) => headers[at - (at % 2)] !== name)
}

function statusOf({ from }: FoundPage): string {
  if (from === 'load') return 'fourfold; fwd=miss; stored'
  if (from === 'failed') return 'fourfold; hit; detail=failed'
  return from === 'joined' ? 'fourfold; fwd=miss; collapsed' : `fourfold; hit; detail=${from}`
}
