/** The answer to a request for a page of the app, before any route of the app is asked. */

import type { Fourfold } from '../app/fourfold.ts'
import type { PageAnswer, PageRequest } from '../pages/answer.ts'
import type { FoundPage } from '../pages/pages.ts'
import type { PageMatch } from '../pages/routes.ts'
import type { RequestContext } from './request-context.ts'

/**
 * The page as fresh as the request's reader needs it.
 *
 * @throws what the render throws
 */
export async function findPageAnswer(
  ff: Fourfold<any>,
  context: RequestContext<Fourfold<any>>,
  match: PageMatch,
  request: PageRequest,
): Promise<PageAnswer> {
  const found = await ff.pages.find(match, context.ff.scope)
  const answer = found.page.answer(request)
  const { cookies, headers } = await context.finish(answer.status)
  const more = ['cache-status', statusOf(found), ...Object.entries(headers).flat()]
  if (cookies.length === 0) return { ...answer, headers: [...answer.headers, ...more] }
  // A cookie is this reader's alone, so nobody may keep this answer for others.
  const own = withoutField(withoutField(answer.headers, 'cache-control'), 'cdn-cache-control')
  const set = cookies.flatMap((cookie) => ['set-cookie', cookie])
  return { ...answer, headers: [...own, ...more, 'cache-control', 'private, no-cache', ...set] }
}

function withoutField(headers: readonly string[], name: string): string[] {
  return headers.filter((_, at) => headers[at - (at % 2)] !== name)
}

function statusOf({ from }: FoundPage): string {
  if (from === 'load') return 'fourfold; fwd=miss; stored'
  if (from === 'failed') return 'fourfold; hit; detail=failed'
  return from === 'joined' ? 'fourfold; fwd=miss; collapsed' : `fourfold; hit; detail=${from}`
}
