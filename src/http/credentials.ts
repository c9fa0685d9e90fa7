/** Whether a request says who sends it by anything but Fourfold's own cookies: then it is not for balancers to answer. */

import type { IncomingHttpHeaders } from 'node:http'

import { createCookieNames, type CookieNames } from '../sessions/client-cookies.ts'

import type { Sessions } from '../sessions/sessions.ts'

/** The part of the configuration that says what counts as such. */
export interface CredentialSettings {
  readonly credentialHeaders: readonly string[]
  readonly ignoreCookies: readonly string[]
}

const names = new WeakMap<CredentialSettings, CookieNames>()

export function carriesCredentials(
  headers: IncomingHttpHeaders,
  sessions: Pick<Sessions, 'cookieName'>,
  settings: CredentialSettings,
): boolean {
  if (headers.authorization !== undefined || headers['proxy-authorization'] !== undefined) return true
  if (settings.credentialHeaders.some((name) => headers[name.toLowerCase()] !== undefined)) return true
  if (headers.cookie === undefined) return false
  let known = names.get(settings)
  if (known === undefined) {
    known = createCookieNames(sessions.cookieName(false), settings.ignoreCookies)
    names.set(settings, known)
  }
  const { foreign, twice } = known.read(headers.cookie)
  return foreign || twice
}
