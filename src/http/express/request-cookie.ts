/** The session's cookie on a request and on its answer, as express-session reads and writes it. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { parse } from 'cookie'
import { isBalanced } from '../../clones/balanced-request.ts'
import { Cookie } from './cookie.ts'
import { sign, unsign, type Secret } from './signature.ts'

/** What Express and cookie-parser add to a request. */
export type ExpressRequest = IncomingMessage & {
  readonly originalUrl?: string
  readonly secure?: boolean
  readonly secret?: Secret
  readonly cookies?: Readonly<Record<string, any>>
  readonly signedCookies?: Readonly<Record<string, any>>
}

/** The id that the client's cookie names, if we have signed it. */
export function readId(request: ExpressRequest, name: string, secrets: readonly Secret[]): string | undefined {
  const { headers, signedCookies, cookies } = request
  const own = headers.cookie === undefined ? undefined : parse(headers.cookie)[name]
  // Where cookie-parser ran and something took the header away.
  return unsignId(own, secrets) ?? (signedCookies?.[name] || undefined) ?? unsignId(cookies?.[name], secrets)
}

/** Adds the cookie to the answer. @throws what `cookie` refuses of the session's cookie options */
export function signedCookie(name: string, id: string, secret: Secret, cookie: Cookie): string {
  // Stores of others come with cookies of their own class.
  const writer = cookie instanceof Cookie ? cookie : new Cookie(cookie as Cookie)
  return writer.serialize(name, `s:${sign(id, secret)}`)
}

export function isRequestSecure(request: ExpressRequest, proxy: boolean | undefined): boolean {
  if ((request.socket as Partial<TLSSocket> | undefined)?.encrypted === true) return true
  if (proxy === false) return false
  // A balancer that has proven itself needs no `trust proxy`.
  if (proxy !== true && !isBalanced(request)) return request.secure === true
  const [first = ''] = String(request.headers['x-forwarded-proto'] ?? '').split(',')
  return first.trim().toLowerCase() === 'https'
}

/** The path as the client sent it, also below a mounted router. */
export function originalPath({ originalUrl, url }: ExpressRequest): string {
  const target = originalUrl ?? url ?? ''
  if (!target.startsWith('/')) return URL.canParse(target) ? new URL(target).pathname : '/'
  return /^[^?#]*/.exec(target)?.[0] || '/'
}

/** Cookies that other middleware sets afterwards must not take ours away, nor ours theirs. */
export function appendCookie(response: ServerResponse, header: string): void {
  response.appendHeader('set-cookie', header)
}

function unsignId(raw: unknown, secrets: readonly Secret[]): string | undefined {
  return typeof raw === 'string' && raw.startsWith('s:') ? unsign(raw.slice(2), secrets) : undefined
}
