/** The guard against cross-site request forgery: origin first, and a token where no browser says the origin. */

import { FourfoldError } from '../../core/errors.ts'
import { csrfKey, isToken, makeToken, newCsrfSecret } from './csrf-token.ts'
import { judgeOrigin, readOrigins, type GuardedRequest, type Origin } from './origin.ts'

export interface CsrfOptions {
  /** Other sites that may send requests with this site's cookies: `['https://admin.example.com']`. Default: none. */
  readonly origins?: readonly string[]
  /**
   * When a request must carry a token: `fallback` (default) where it has cookies and its client says no origin; `always`
   * with every method other than GET, HEAD and OPTIONS; `never`.
   */
  readonly token?: 'fallback' | 'always' | 'never'
}

/** The session's secret, whatever kind of session it is. */
export interface SecretPlace {
  read(): unknown
  write(secret: string): void
}

export class CsrfGuard {
  readonly #trusted: ReadonlySet<string>
  readonly #token: 'fallback' | 'always' | 'never'

  /** @throws TypeError for an origin that is none */
  constructor({ origins = [], token = 'fallback' }: CsrfOptions = {}) {
    this.#trusted = readOrigins(origins)
    this.#token = token
  }

  /**
   * Whether a token must still be shown.
   *
   * @throws FF_HTTP_CROSS_ORIGIN
   */
  checkOrigin(request: GuardedRequest): boolean {
    const origin = judgeOrigin(request, this.#trusted)
    if (origin === 'cross') throw crossOrigin()
    return this.#needsToken(origin, request)
  }

  #needsToken(origin: Origin, { raw }: GuardedRequest): boolean {
    if (origin === 'safe' || origin === 'trusted' || this.#token === 'never') return false
    // Without cookies there is nothing that another site could borrow.
    return this.#token === 'always' || (origin === 'unknown' && raw.headers.cookie !== undefined)
  }
}

/** The token for a form or a script of this visitor. */
export async function giveToken(place: SecretPlace): Promise<string> {
  const held = await place.read()
  if (typeof held === 'string') return makeToken(held)
  const secret = newCsrfSecret()
  place.write(secret)
  return makeToken(secret)
}

/** @throws FF_HTTP_CSRF_TOKEN */
export async function checkToken(place: SecretPlace, token: unknown): Promise<void> {
  const secret = await place.read()
  if (typeof secret === 'string' && typeof token === 'string' && isToken(secret, token)) return
  throw new FourfoldError(
    'FF_HTTP_CSRF_TOKEN',
    'The request says neither Sec-Fetch-Site nor Origin, or a token is always wanted: expected the token of this session ' +
      'in the header x-csrf-token or the field _csrf; got ' +
      (token === undefined ? 'none' : 'one that is not of this session'),
  )
}

/** Where a request carries its token. */
export function tokenOf(headers: GuardedRequest['raw']['headers'], body: unknown): unknown {
  return headers['x-csrf-token'] ?? (body as { _csrf?: unknown } | null | undefined)?._csrf
}

/** A place in a session of Fourfold's own kind. */
export function placeIn(session: {
  get(key: string): Promise<unknown>
  set(key: string, value: unknown): void
}): SecretPlace {
  return { read: () => session.get(csrfKey), write: (secret) => session.set(csrfKey, secret) }
}

function crossOrigin(): FourfoldError {
  return new FourfoldError(
    'FF_HTTP_CROSS_ORIGIN',
    'Another site made the browser send this request. If it may, name its origin in the guard: csrf({ origins: [...] })',
  )
}
