/**
 * Whether another site makes a visitor's browser send a request, by what browsers themselves say: `Sec-Fetch-Site` (all
 * since 2023, over TLS and on localhost), else `Origin` (all since 2020, with whatever is not a GET). No cookie and no
 * token is needed for it.
 *
 * The algorithm is that of Go's `http.CrossOriginProtection` (Filippo Valsorda, «Cross-Site Request Forgery», 2025), with
 * one more rule: a page without TLS is another site than the same host with it.
 */

import { isFromBalancer, isSecure, type RawRequest } from '../secure.ts'

export interface GuardedRequest {
  readonly method: string
  readonly raw: RawRequest
}

/** `unknown`: neither header came. No browser of today; an old one, or none at all. */
export type Origin = 'safe' | 'same' | 'trusted' | 'cross' | 'unknown'

const safeMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])

/** @param trusted origins of other sites that may send requests, as `https://admin.example.com` */
export function judgeOrigin({ method, raw }: GuardedRequest, trusted: ReadonlySet<string>): Origin {
  if (safeMethods.has(method.toUpperCase())) return 'safe'
  const { origin, 'sec-fetch-site': site } = raw.headers
  if (site === 'same-origin' || site === 'none') return 'same'
  if (origin !== undefined && trusted.has(origin)) return 'trusted'
  if (site !== undefined) return 'cross'
  if (origin === undefined) return 'unknown'
  return isOwnOrigin(origin, raw) ? 'same' : 'cross'
}

/**
 * The origins that are configured, each as browsers send them.
 *
 * @throws TypeError for one that is none
 */
export function readOrigins(origins: readonly string[]): ReadonlySet<string> {
  for (const origin of origins) {
    if (URL.canParse(origin) && new URL(origin).origin === origin) continue
    throw new TypeError(
      `origins: expected an origin such as "https://admin.example.com", got ${JSON.stringify(origin)}`,
    )
  }
  return new Set(origins)
}

function isOwnOrigin(origin: string, raw: RawRequest): boolean {
  if (!URL.canParse(origin)) return false
  const { host, protocol } = new URL(origin)
  if (protocol === 'http:' && isSecure(raw, 'auto')) return false
  const own = `${protocol}//${hostOf(raw)}`
  return URL.canParse(own) && host !== '' && new URL(own).host === host
}

/** The host that the client asked for: as the balancer says, who hears it from trusted proxies, or as the client does. */
function hostOf(raw: RawRequest): string {
  const forwarded = isFromBalancer(raw) ? raw.headers['x-forwarded-host'] : undefined
  return (typeof forwarded === 'string' ? forwarded : raw.headers.host) ?? ''
}
