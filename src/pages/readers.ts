/**
 * For whom a page is, and for whom the route of the app that has the same path. The same in every process, from what a
 * request's headers say.
 *
 * A page with personal parts needs a script to fill them in (`fourfold/client`). Browsers that run it say so by a cookie,
 * which it sets; all others get the route's answer, with everything in it, once their reader is signed in.
 */

/**
 * - `everybody`: all readers are answered with the page.
 * - `anonymous`: readers with a session or other credentials are answered by the app's own route at this address.
 * - `scripted`: so are they, until their browser says that it fills in the personal parts by itself.
 */
export type PageReaders = 'everybody' | 'anonymous' | 'scripted'

/** Set by the script in the browser: it says nothing about who somebody is. */
export const fragmentsCookie = 'ff_fragments'

export interface ReaderHeaders {
  readonly cookie?: string | undefined
  readonly authorization?: string | undefined
}

/**
 * Whether a request is answered with the page, as far as its headers tell: an app's `identify` may know more.
 *
 * @param session the name of the session's cookie, without the prefix that it has over TLS
 */
export function isForPage(readers: PageReaders, { cookie, authorization }: ReaderHeaders, session: string): boolean {
  if (readers === 'everybody' || isScripted(readers, cookie)) return true
  const known = (pair: string): boolean => pair.startsWith(`${session}=`) || pair.startsWith(`__Host-${session}=`)
  return authorization === undefined && !pairsIn(cookie).some(known)
}

/** Whether the page is for whoever has these cookies, because their browser fills it in. */
export function isScripted(readers: PageReaders, cookie: string | undefined): boolean {
  return readers === 'scripted' && pairsIn(cookie).includes(`${fragmentsCookie}=1`)
}

function pairsIn(cookie: string | undefined): string[] {
  return cookie === undefined ? [] : cookie.split(';').map((pair) => pair.trim())
}
