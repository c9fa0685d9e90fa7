/** The session middleware: from the request's cookie to `req.session`, and from there to the store and the answer. */

import type { ServerResponse } from 'node:http'
import { silentLogger } from '../../core/log.ts'
import { endAfterSave } from './end-after-save.ts'
import { refusePersonal } from '../../pages/route-bakes.ts'
import { FourfoldStore } from './fourfold-store.ts'
import { holdUntilSaved } from './hold-until-saved.ts'
import { readOptions, type SessionOptions, type Settings } from './options.ts'
import { createLevels } from '../levels.ts'
import { giveInstance, originalTarget, type LevelOf, type RequestPart } from './request-part.ts'
import { originalPath, type ExpressRequest } from './request-cookie.ts'
import { newSession, RequestSession, type Next } from './request-session.ts'
import type { SessionRequest } from './session-object.ts'
import type { StoredSession } from './store.ts'

export type SessionMiddleware = (request: any, response: any, next: Next) => void

type AnyRequest = SessionRequest & ExpressRequest

/**
 * Sessions for Express, with the options and the behaviour of express-session.
 *
 * ```ts
 * app.use(session({ ff, secret: process.env.SESSION_SECRET, resave: false, saveUninitialized: false }))
 * ```
 *
 * @throws TypeError for options that express-session refuses, too
 */
export function createSessionMiddleware(options?: SessionOptions): SessionMiddleware {
  const settings = readOptions(options)
  const { store } = settings
  const levelOf: LevelOf =
    settings.ff === undefined ? () => undefined : createLevels(settings.level, settings.ff.pages, originalTarget)
  let ready = true
  store.generate = (request) => newSession(settings, request)
  store.on('disconnect', () => (ready = false))
  store.on('connect', () => (ready = true))

  return (request: AnyRequest, response: ServerResponse, next) => {
    if (request.session || !ready || !coversPath(settings, request)) return next()
    const secrets = settings.secrets ?? (request.secret ? [request.secret] : null)
    if (secrets === null) return next(new Error('secret option required for sessions'))
    const session = new RequestSession(settings, request, response, secrets)
    // Socket.IO's users call middleware with `{}` for an answer: there, only `save()` stores.
    if (typeof response.end === 'function') {
      if (store instanceof FourfoldStore) holdAnswer(store, session, next, levelOf)
      else endAfterSave(session, next)
    }
    const part = store instanceof FourfoldStore ? partOf(session, levelOf) : null
    const bake = part?.bake ?? null
    if (bake !== null) session.refuse(() => refusePersonal(bake, 'session'))
    if (bake !== null) return next()
    // Who reads is known when the session is.
    open(session, part === null ? next : (error) => (error ? next(error) : part.answerPage(response, next)))
  }
}

function coversPath(settings: Settings, request: AnyRequest): boolean {
  return originalPath(request).startsWith(settings.cookieOf(request).path || '/')
}

function partOf({ request, settings: { ff } }: RequestSession, levelOf: LevelOf): RequestPart | null {
  return ff === undefined ? null : giveInstance(request, ff, levelOf)
}

function holdAnswer(store: FourfoldStore, session: RequestSession, next: Next, levelOf: LevelOf): void {
  const { request, settings } = session
  const { ff } = settings
  if (ff === undefined) return holdUntilSaved({ session, store, next, log: silentLogger })
  const part = giveInstance(request, ff, levelOf)
  store.bind(request, part)
  holdUntilSaved({ session, store, next, log: ff.log, finish: part.claimAnswer() })
}

/** Finds the session, or begins one, and goes on. */
function open(session: RequestSession, next: Next): void {
  const { store } = session.settings
  const id = session.sentId
  if (!id) return resume(session, null, next)
  store.get(id, (error, data, moved) => {
    if (moved === true && store instanceof FourfoldStore) store.noteMoved(session.request)
    if (!error || error.code === 'ENOENT') return resume(session, error ? null : data, next)
    if (!(store instanceof FourfoldStore)) return next(error)
    // A store that is away must not take those requests along that need no session: who asks for it gets the error.
    session.refuse(() => error as Error)
    next()
  })
}

function resume(session: RequestSession, data: StoredSession | null | undefined, next: Next): void {
  try {
    if (data) session.resume(data)
    else session.begin()
  } catch (error) {
    return next(error)
  }
  next()
}
