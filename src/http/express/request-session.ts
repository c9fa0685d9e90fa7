/**
 * One request's session: which one it began with, what was written since, and what its answer owes. The rules are
 * those of express-session: a session is compared as JSON, without its cookie, with what it was.
 */

import type { ServerResponse } from 'node:http'
import { Cookie } from './cookie.ts'
import type { Settings } from './options.ts'
import { isRequestSecure, readId, signedCookie, type ExpressRequest } from './request-cookie.ts'
import { Session, type SessionRequest } from './session-object.ts'
import type { Secret } from './signature.ts'
import type { Done, StoredSession } from './store.ts'

export type Next = (error?: any) => void

export class RequestSession {
  readonly settings: Settings
  readonly request: SessionRequest & ExpressRequest
  readonly response: ServerResponse
  readonly #secrets: readonly Secret[]
  /** The id that the client sent. */
  readonly #sentId: string | undefined
  #firstId: string | undefined
  #firstText: string | undefined
  #savedText: string | undefined
  #touched = false
  #refused = false
  #first: Session | null = null

  constructor(
    settings: Settings,
    request: SessionRequest & ExpressRequest,
    response: ServerResponse,
    secrets: readonly Secret[],
  ) {
    this.settings = settings
    this.request = request
    this.response = response
    this.#secrets = secrets
    this.#sentId = readId(request, settings.name, secrets)
    request.sessionStore = settings.store
    request.sessionID = this.#sentId as string
  }

  get sentId(): string | undefined {
    return this.#sentId
  }

  /** Begins an empty session. */
  begin(): void {
    this.settings.store.generate(this.request)
    this.#follow(textOf(this.request.session))
  }

  /** Goes on with what the store has. */
  resume(data: StoredSession): void {
    const text = textOf(data)
    this.settings.store.createSession(this.request, data)
    this.#follow(text)
    if (!this.settings.resave) this.#savedText = text
  }

  /** There is no telling what the session holds: whoever asks for it gets this error, made then, and nothing is stored. */
  refuse(errorOf: () => Error): void {
    this.#refused = true
    const set = (value: unknown): void =>
      void Object.defineProperty(this.request, 'session', { configurable: true, writable: true, value })
    const get = (): never => {
      throw errorOf()
    }
    Object.defineProperty(this.request, 'session', { configurable: true, get, set })
  }

  get refused(): boolean {
    return this.#refused
  }

  get mustDestroy(): boolean {
    const { sessionID, session } = this.request
    return Boolean(sessionID) && this.settings.unsetDestroys && (session === undefined || session === null)
  }

  get mustSave(): boolean {
    return this.#mustSave(textOf(this.request.session))
  }

  get mustTouch(): boolean {
    return this.#mustTouch(textOf(this.request.session))
  }

  /** What is owed now, compared once. */
  get owed(): { readonly save: boolean; readonly touch: boolean } {
    const text = textOf(this.request.session)
    return { save: this.#mustSave(text), touch: this.#mustTouch(text) }
  }

  #mustSave(text: string): boolean {
    const { session, sessionID } = this.request
    if (!session || typeof sessionID !== 'string') return false
    const fresh = !this.settings.saveUninitialized && !this.#savedText && this.#sentId !== sessionID
    return fresh ? this.#isModified(text) : !(this.#firstId === session.id && this.#savedText === text)
  }

  #mustTouch(text: string): boolean {
    const { session, sessionID } = this.request
    if (!session || typeof sessionID !== 'string' || this.#sentId !== sessionID) return false
    return !this.#mustSave(text)
  }

  get mustSetCookie(): boolean {
    const { session, sessionID } = this.request
    if (!session || typeof sessionID !== 'string') return false
    if (this.#sentId !== sessionID) return this.settings.saveUninitialized || this.modified
    const lives = session.cookie.expires !== null && session.cookie.expires !== undefined
    return this.settings.rolling || (lives && this.modified)
  }

  /** Whether the session is another than the request began with, or holds other data. */
  get modified(): boolean {
    return Boolean(this.request.session) && this.#isModified(textOf(this.request.session))
  }

  #isModified(text: string): boolean {
    return this.#firstId !== this.request.session!.id || this.#firstText !== text
  }

  /** Whether no property says anything: as where middleware has put its empty list of messages. */
  get holdsNothing(): boolean {
    return Object.entries(this.request.session ?? {}).every(([name, value]) => name === 'cookie' || saysNothing(value))
  }

  /** Whether there is something that no `save` has taken. */
  get unsaved(): boolean {
    const { session } = this.request
    return Boolean(session) && (this.#savedText ?? this.#firstText) !== textOf(session)
  }

  /** Does something while the request has the session that it began with, as after `req.session = null` it has not. */
  async withFirst(work: () => Promise<void> | undefined): Promise<void> {
    const { session } = this.request
    this.request.session = this.#first
    try {
      await work()
    } finally {
      this.request.session = session
    }
  }

  /** Begins the cookie's age anew, once. */
  touch(): void {
    if (this.#touched) return
    this.#touched = true
    this.request.session?.touch()
  }

  /** The Set-Cookie header that the answer owes, or null. @throws what `cookie` refuses of the cookie's options */
  cookieHeader(): string | null {
    const { session, sessionID } = this.request
    if (!session || !this.mustSetCookie) return null
    if (session.cookie.secure && !isRequestSecure(this.request, this.settings.proxy)) return null
    this.touch()
    return signedCookie(this.settings.name, sessionID, this.#secrets[0]!, session.cookie)
  }

  /** Saves and reloads are noticed, whoever calls them: what was saved is not saved again with the answer. */
  #follow(text: string): void {
    this.#firstId = this.request.sessionID
    this.#firstText = text
    this.#first = this.request.session ?? null
    this.#watch(this.request.session!)
  }

  #watch(session: Session): void {
    const { save, reload } = session
    hide(session, 'save', (...values: [Done?]) => {
      this.#savedText = textOf(session)
      return save.apply(session, values)
    })
    hide(session, 'reload', (done: Done = () => undefined) =>
      reload.call(session, (...values: [any?]) => {
        const { session: current } = this.request
        if (current && current !== session) this.#watch(current)
        done(...values)
      }),
    )
  }
}

/** Makes the session of a request that has none, with the cookie that the options ask for. */
export function newSession(settings: Settings, request: SessionRequest & ExpressRequest): void {
  request.sessionID = settings.newId(request)
  const session = new Session(request)
  const options = settings.cookieOf(request)
  const cookie = new Cookie(options)
  const secure = isRequestSecure(request, settings.proxy)
  if (options.secure === 'auto') cookie.secure = secure
  if (options.sameSite === 'auto') cookie.sameSite = secure ? 'none' : 'lax'
  session.cookie = cookie
  request.session = session
}

function saysNothing(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'object' && Object.values(value).every(saysNothing))
}

/** The session as JSON, without its cookie. */
function textOf(session: object | null | undefined): string {
  const { cookie: _, ...data } = (session ?? {}) as { cookie?: unknown }
  return JSON.stringify(data)
}

function hide(session: Session, name: string, value: (...values: any[]) => unknown): void {
  Object.defineProperty(session, name, { configurable: true, enumerable: false, writable: true, value })
}
