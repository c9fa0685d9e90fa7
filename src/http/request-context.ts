/**
 * What one request gets from Fourfold, whatever the framework: its session, its reader, and `ff` scoped to both. All
 * of it is lazy: a request that touches none of it costs no call. Before the answer's headers go out, {@link
 * RequestContext.finish} stores what changed, so that no answer tells of a change that is not stored, and says which
 * headers the answer must carry.
 */

import type { Level } from '../freshness/level.ts'
import type { ReaderSource } from '../freshness/reader.ts'
import { readCookie } from '../sessions/cookies.ts'
import type { Session } from '../sessions/session.ts'
import type { Sessions } from '../sessions/sessions.ts'
import type { Head } from './held-response.ts'
import { isPinned, pinCookie, type PinnedDatabases } from './pin.ts'
import { refusePersonal, type RouteBake, type RouteBakes } from '../pages/route-bakes.ts'
import { carriesCredentials, type CredentialSettings } from './credentials.ts'
import { RequestReader, type Identity } from './request-reader.ts'
import { isSecure, type RawRequest } from './secure.ts'

export interface ScopeRequest {
  readonly reader: ReaderSource
  readonly level?: Level
  /** Read the primary only. */
  readonly pinned: boolean
  /** The reader's token was current when the request began; it need not be read again before each read. */
  readonly keepToken: boolean
}

export interface ScopedInstance {
  readonly scope: { readonly settled: boolean }
  readonly cache: { status(): string }
}

/** What a request needs of the running app. */
export interface RequestHost<Scoped extends ScopedInstance = ScopedInstance> {
  readonly sessions: Sessions
  readonly config: { readonly databases: PinnedDatabases; readonly baking?: CredentialSettings }
  as(options: ScopeRequest): Scoped
  /** Raises `to`'s freshness tokens to at least those of `from`. False: the store has not taken it yet. */
  carryTokens(from: string, to: string): Promise<boolean>
  readonly pages: { readonly bakes: RouteBakes; readonly sources: readonly unknown[] }
  forBake(bake: RouteBake): Scoped
}

/** A session that the adapter keeps by itself. */
export interface KeptSession {
  /** The key of the reader it belongs to, or null. */
  readonly reader: string | null
  /** Whether it got a new id or ended during this request. */
  readonly handedOver: boolean
}

export interface RequestContextOptions<Scoped extends ScopedInstance> {
  readonly host: RequestHost<Scoped>
  readonly raw: RawRequest
  /** Absent: the session of Fourfold's own cookie. */
  readonly kept?: KeptSession
  /** Asks the app who reads; it may look at the session. */
  readonly identify?: () => Identity | Promise<Identity>
  /** The level of this request; undefined: the app's. */
  readonly level?: () => Level | undefined
  /** Whether the answer tells what the cache did. */
  readonly cacheStatus?: boolean | undefined
}

/** What an answer has to carry. */
export interface AnswerHeaders {
  readonly cookies: readonly string[]
  readonly headers: Readonly<Record<string, string>>
}

const freshnessHeader = 'fourfold-freshness'
const cacheStatusHeader = 'cache-status'
const nothing: AnswerHeaders = { cookies: [], headers: {} }

export class RequestContext<Scoped extends ScopedInstance> {
  readonly #options: RequestContextOptions<Scoped>
  readonly #secure: boolean
  #session: Session | null = null
  #reader: RequestReader | null = null
  #scoped: Scoped | null = null

  constructor(options: RequestContextOptions<Scoped>) {
    this.#options = options
    this.#secure = isSecure(options.raw, options.host.sessions.secure)
  }

  /** Whether the request used the session or the app's instance so far. */
  get used(): boolean {
    return this.#session !== null || this.#scoped !== null || this.#reader !== null
  }

  /** The bake that this request is part of; null for a client's. */
  get bake(): RouteBake | null {
    return this.#options.host.pages.bakes.of(this.#options.raw.headers)
  }

  get session(): Session {
    if (this.#session !== null) return this.#session
    const bake = this.bake
    if (bake !== null) throw refusePersonal(bake, 'session')
    const { sessions } = this.#options.host
    const cookie = readCookie(this.#options.raw.headers.cookie, sessions.cookieName(this.#secure))
    this.#session = sessions.open(cookie, {
      secure: this.#secure,
      newReader: () => this.#requestReader().forNewSession(),
      beforeHandover: () => this.#requestReader().beforeHandover(),
    })
    return this.#session
  }

  /** Whether somebody reads whom a session or the app's `identify` names. */
  async isKnown(): Promise<boolean> {
    const session = this.#options.kept ?? this.session
    return session.reader !== null || (await this.#requestReader().isIdentified())
  }

  get ff(): Scoped {
    if (this.#scoped !== null) return this.#scoped
    const { host, raw } = this.#options
    const bake = this.bake
    if (bake !== null) return (this.#scoped = host.forBake(bake))
    const reader = this.#requestReader()
    const level = this.#options.level?.()
    const pinned = isPinned(host.sessions, raw.headers.cookie, this.#secure)
    this.#scoped = host.as({ reader, level, pinned, keepToken: true })
    return this.#scoped
  }

  /**
   * Stores what changed and answers what the answer must carry. May be called again for the answer of an error
   * handler, after it rejected or resolved.
   *
   * @throws what `session.save()` throws, unless the answer tells of a failure already
   */
  async finish(statusCode: number): Promise<AnswerHeaders> {
    if (!this.used || this.bake !== null) return nothing
    await this.#noteIdentity()
    await this.#session?.close({ failing: statusCode >= 500 })
    if ((this.#options.kept ?? this.#session)?.handedOver === true) await this.#requestReader().afterHandover()
    return this.#answerHeaders()
  }

  /** Names the reader of a kept session that begins. */
  newReader(): string {
    return this.#requestReader().forNewSession()
  }

  /** To be called before a kept session ends or gets another id, while the request can still be identified by it. */
  beforeHandover(): Promise<void> {
    return this.#requestReader().beforeHandover()
  }

  /** For balancers, which cannot ask the app: what its `identify` makes of this session alone. */
  async #noteIdentity(): Promise<void> {
    const { host, raw, kept } = this.#options
    const { pages, config, sessions } = host
    const identity = this.#reader?.identity ?? null
    if (identity === null || this.#session === null || kept !== undefined || config.baking === undefined) return
    if (pages.sources.length === 0 || carriesCredentials(raw.headers, sessions, config.baking)) return
    await this.#session.noteIdentified(identity)
  }

  #answerHeaders(): AnswerHeaders {
    const { sessions, config } = this.#options.host
    const unsettled = this.#scoped?.scope.settled === false || this.#reader?.settled === false
    const reader = this.#reader?.close() ?? nothing
    const session = this.#session?.cookieToSet() ?? null
    const status = this.#options.cacheStatus === true ? (this.#scoped?.cache.status() ?? '') : ''
    return {
      cookies: [
        ...(session === null ? [] : [session]),
        ...reader.cookies,
        ...(unsettled ? [pinCookie(sessions, config.databases, this.#secure)] : []),
      ],
      headers: {
        ...reader.headers,
        ...(unsettled ? { [freshnessHeader]: 'unsettled' } : {}),
        ...(status === '' ? {} : { [cacheStatusHeader]: status }),
      },
    }
  }

  #requestReader(): RequestReader {
    this.#reader ??= new RequestReader({
      signer: this.#options.host.sessions.signer,
      headers: this.#options.raw.headers,
      secure: this.#secure,
      session: () => this.#options.kept ?? this.session,
      identify: this.#options.identify,
      carry: (from, to) => this.#options.host.carryTokens(from, to),
    })
    return this.#reader
  }
}

/** Stores what changed and adds the headers; where storing fails, the headers still tell what they can. */
export function addAnswer(context: RequestContext<any>, statusCode: number, head: Head): Promise<void> | undefined {
  if (!context.used) return undefined
  const add = (answer: AnswerHeaders): void => {
    if (answer.cookies.length > 0) head.append('set-cookie', answer.cookies)
    for (const [name, value] of Object.entries(answer.headers)) head.set(name, value)
  }
  return context.finish(statusCode).then(add, async (error: unknown) => {
    await context.finish(500).then(add, () => undefined)
    throw error
  })
}
