/** The options of the session middleware: those of express-session, with the same defaults, and `ff`. */

import type { IncomingMessage } from 'node:http'
import { randomBytes } from 'node:crypto'
import type { Fourfold } from '../../app/fourfold.ts'
import { openMemoryStore } from '../../store/memory/memory-store.ts'
import type { LevelOption } from '../levels.ts'
import type { CookieOptions } from './cookie.ts'
import { FourfoldStore } from './fourfold-store.ts'
import { MemoryStore } from './memory-store.ts'
import type { Secret } from './signature.ts'
import type { Store } from './store.ts'

/** What the session middleware needs of the stores that others wrote. */
export interface AnyStore {
  get(id: string, found: (error?: any, session?: any) => void): unknown
  set(id: string, session: any, done?: (error?: any) => void): unknown
  destroy(id: string, done?: (error?: any) => void): unknown
  touch?(id: string, session: any, done?: (error?: any) => void): unknown
}

export interface SessionOptions {
  /**
   * The opened app: sessions live in its central store, only what changed is written, and `req.ff` is there. Beside
   * `store`, sessions of that store are taken over and copied back, so that an app can move and go back.
   */
  readonly ff?: Fourfold<any>
  /** The level of the reads of `req.ff`: one, by the path, or a function of the request. Default: each database's own. */
  readonly level?: LevelOption<any>
  readonly cookie?: CookieOptions | ((request: any) => CookieOptions)
  /** Makes an id. Default: 192 random bits. */
  readonly genid?: (request: any) => string
  /** The cookie's name. Default: `connect.sid`. */
  readonly name?: string
  /** The older word for `name`. */
  readonly key?: string
  /** Whether X-Forwarded-Proto is believed. Default: as Express's `trust proxy` says. */
  readonly proxy?: boolean
  /** Writes also what did not change. Default: true, as in express-session; it loses nothing in Fourfold's store. */
  readonly resave?: boolean
  /** Sends the cookie with every answer. Default: false. */
  readonly rolling?: boolean
  /** Stores sessions that nobody wrote to. Default: true, as in express-session. */
  readonly saveUninitialized?: boolean
  /** Signs the cookie. Of several, the first signs and all verify. */
  readonly secret?: Secret | readonly Secret[]
  /** Any express-session store. Default: Fourfold's, in this process's memory where there is no `ff`. */
  readonly store?: AnyStore
  /** What `req.session = null` does to the stored session. Default: `keep`. */
  readonly unset?: 'destroy' | 'keep'
}

export interface Settings {
  readonly ff: Fourfold<any> | undefined
  readonly level: SessionOptions['level']
  readonly cookieOf: (request: IncomingMessage) => CookieOptions
  readonly newId: (request: IncomingMessage) => string
  readonly name: string
  readonly proxy: boolean | undefined
  readonly resave: boolean
  readonly rolling: boolean
  readonly saveUninitialized: boolean
  /** None: `req.secret` counts, as cookie-parser sets it. */
  readonly secrets: readonly Secret[] | null
  readonly store: Store
  readonly unsetDestroys: boolean
}

/** @throws TypeError for what express-session refuses, with its words */
export function readOptions(options: SessionOptions = {}): Settings {
  const { cookie = {}, genid = newId, unset } = options
  if (typeof genid !== 'function') throw new TypeError('genid option must be a function')
  if (Boolean(unset) && unset !== 'destroy' && unset !== 'keep')
    throw new TypeError('unset option must be "destroy" or "keep"')
  return {
    ff: options.ff,
    level: options.level,
    cookieOf: typeof cookie === 'function' ? cookie : () => cookie,
    newId: genid,
    name: options.name || options.key || 'connect.sid',
    proxy: options.proxy,
    resave: options.resave ?? true,
    rolling: Boolean(options.rolling),
    saveUninitialized: options.saveUninitialized ?? true,
    secrets: readSecrets(options.secret),
    store: chooseStore(options),
    unsetDestroys: unset === 'destroy',
  }
}

function readSecrets(secret: SessionOptions['secret']): readonly Secret[] | null {
  if (!secret) return null
  if (!Array.isArray(secret)) return [secret as Secret]
  if (secret.length === 0) throw new TypeError('secret option array must contain one or more strings')
  return secret as Secret[]
}

function chooseStore({ ff, store, cookie }: SessionOptions): Store {
  if (ff !== undefined) {
    const { idleMs, absoluteMs } = ff.config.sessions
    if (typeof cookie === 'object' && (cookie.maxAge ?? 0) > absoluteMs)
      ff.log.warn(
        { maxAge: cookie.maxAge, absoluteMs },
        'sessions end before their cookies do: raise sessions.absolute',
      )
    const deadlineMs = ff.config.store.deadlineMs
    return new FourfoldStore({ store: ff.store, idleMs, absoluteMs, log: ff.log, former: store, deadlineMs })
  }
  if (store === undefined || store instanceof MemoryStore) warnOfMemory()
  return (store as Store | undefined) ?? new FourfoldStore({ store: openMemoryStore() })
}

function warnOfMemory(): void {
  if (process.env['NODE_ENV'] !== 'production') return
  process.emitWarning(
    "Sessions are kept in this process's memory: they end with it, and no other process sees them. Give session() " +
      'the opened app (ff) or a store',
    { code: 'FOURFOLD_SESSIONS_IN_MEMORY' },
  )
}

function newId(): string {
  return randomBytes(24).toString('base64url')
}
