/**
 * Sessions in the central store: any clone serves any of them, and no clone keeps one. The client holds a cookie with
 * a random id, its reader's key and the time it began, signed; the store holds the rest under a hash of the id.
 *
 * Shape: OWASP's session management rules (256 random bits, a new id at login, idle and absolute limits).
 */

import { systemClock, type Clock } from '../core/clock.ts'
import type { Store } from '../store/store.ts'
import { cookieName, serializeCookie } from './cookies.ts'
import { formatTicket, parseTicket, type SessionTicket } from './session-record.ts'
import { SessionStore } from './session-store.ts'
import { Session } from './session.ts'
import { createSigner, type Signer } from './signer.ts'

export interface SessionsOptions {
  readonly store: Store
  /** The first signs, all verify. At least 32 characters each. */
  readonly secrets: readonly string[]
  /** A session that nobody used for so long is over. Default: 7 days. */
  readonly idleMs?: number
  /** A session is over so long after it began. Default: 30 days. */
  readonly absoluteMs?: number
  /** The cookie's name, before the `__Host-` prefix that it gets over TLS. Default: `ff_session`. */
  readonly cookieName?: string
  /** Whether browsers come over TLS. `'auto'` (default): as each request says, see the http adapters. */
  readonly secure?: 'auto' | boolean
  readonly clock?: Clock
}

export interface OpenSessionOptions {
  /** Whether this client came over TLS. Default: the setting, and false for `'auto'`. */
  readonly secure?: boolean
  /** Names the reader of a session that begins now. Default: a random key. */
  readonly newReader?: () => string
  /** Told before the session gets a new id or ends, while it can still be read as it was. */
  readonly beforeHandover?: () => Promise<void>
}

export interface Sessions {
  /** Signs the other cookies of the http adapters, too. */
  readonly signer: Signer
  readonly secure: 'auto' | boolean
  /** What time it is for sessions, in milliseconds since 1970. */
  now(): number
  /** The name under which the cookie is sent on such a connection. */
  cookieName(secure: boolean): string
  /**
   * The session of a client, by the value of its cookie (null: none came). Asks the store nothing yet. A value that
   * was not signed here, or whose session is beyond its absolute limit, counts as none.
   */
  open(cookieValue: string | null, options?: OpenSessionOptions): Session
}

const dayMs = 24 * 3_600_000

/** @throws FF_SESSION_SECRETS_MISSING, FF_SESSION_SECRETS_WEAK */
export function createSessions(options: SessionsOptions): Sessions {
  const signer = createSigner(options.secrets)
  const clock = options.clock ?? systemClock
  const limits = { idleMs: options.idleMs ?? 7 * dayMs, absoluteMs: options.absoluteMs ?? 30 * dayMs }
  const name = options.cookieName ?? 'ff_session'
  const setting = options.secure ?? 'auto'
  const store = new SessionStore(options.store, limits, clock)

  function writeCookie(ticket: SessionTicket | null, secure: boolean): string {
    if (ticket === null) return serializeCookie(name, '', { secure, maxAgeSeconds: 0 })
    const maxAgeSeconds = (ticket.created + limits.absoluteMs - clock.now()) / 1000
    return serializeCookie(name, signer.sign('session', formatTicket(ticket)), { secure, maxAgeSeconds })
  }

  return {
    signer,
    secure: setting,
    now: () => clock.now(),
    cookieName: (secure) => cookieName(name, secure),
    open: (cookieValue, { secure = setting === true, newReader, beforeHandover } = {}) => {
      const verified = cookieValue === null ? null : signer.verify('session', cookieValue)
      const parsed = verified === null ? null : parseTicket(verified.value)
      const ticket = parsed !== null && clock.now() < parsed.created + limits.absoluteMs ? parsed : null
      const resign = verified?.current === false
      return new Session({ store, ticket, cookie: (of) => writeCookie(of, secure), resign, newReader, beforeHandover })
    },
  }
}
