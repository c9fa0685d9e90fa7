/**
 * The pin of FRESHNESS rule 32: a browser whose last write could not be settled reads the primary, on any clone, for
 * as long as this signed cookie lives. It says nothing but when it ends.
 */

import { cookieName, readCookie, serializeCookie } from '../sessions/cookies.ts'
import type { Sessions } from '../sessions/sessions.ts'

const pinName = 'ff_pin'
const pinMs = 10_000

export function pinCookie(sessions: Sessions, secure: boolean): string {
  const value = sessions.signer.sign('pin', String(sessions.now() + pinMs))
  return serializeCookie(pinName, value, { secure, maxAgeSeconds: pinMs / 1000 })
}

export function isPinned(sessions: Sessions, cookieHeader: string | undefined, secure: boolean): boolean {
  const cookie = readCookie(cookieHeader, cookieName(pinName, secure))
  const verified = cookie === null ? null : sessions.signer.verify('pin', cookie)
  return verified !== null && sessions.now() < Number(verified.value)
}
