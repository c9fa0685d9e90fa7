/**
 * The pin of FRESHNESS rule 32: a browser whose last write could not be settled reads the primary, on any clone, for
 * as long as this signed cookie lives. It says nothing but when it ends.
 */

import { cookieName, readCookie, serializeCookie } from '../sessions/cookies.ts'
import { pinCookieName } from '../sessions/presented-reader.ts'
import type { Sessions } from '../sessions/sessions.ts'

const minPinMs = 10_000

/**
 * How long a pin lives: past it, the write is older than what any replica may serve, whatever the token says. Twice
 * `maxStaleness`, for the write was acknowledged before the browser had the cookie.
 */
function pinMs(databases: PinnedDatabases): number {
  return Math.max(minPinMs, ...Object.values(databases).map(({ maxStalenessMs }) => 2 * maxStalenessMs))
}

/** What of the configuration decides how long a pin lives. */
export type PinnedDatabases = Readonly<Record<string, { readonly maxStalenessMs: number }>>

export function pinCookie(sessions: Sessions, databases: PinnedDatabases, secure: boolean): string {
  const lifeMs = pinMs(databases)
  const value = sessions.signer.sign('pin', String(sessions.now() + lifeMs))
  return serializeCookie(pinCookieName, value, { secure, maxAgeSeconds: Math.ceil(lifeMs / 1000) })
}

export function isPinned(sessions: Sessions, cookieHeader: string | undefined, secure: boolean): boolean {
  const cookie = readCookie(cookieHeader, cookieName(pinCookieName, secure))
  const verified = cookie === null ? null : sessions.signer.verify('pin', cookie)
  return verified !== null && sessions.now() < Number(verified.value)
}
