/**
 * The way of Fourfold, for its own store: nothing of an answer goes out before what it tells of is stored. Where that
 * fails, the failure is the answer, through the app's own error handlers. What is changed after an answer has begun,
 * as a stream may, is stored before its end.
 */

import type { Logger } from '../../core/log.ts'
import { sessionGone } from '../../sessions/session-errors.ts'
import { answerError } from '../error-answer.ts'
import { holdResponse, type Head } from '../held-response.ts'
import type { FourfoldStore } from './fourfold-store.ts'
import type { Next, RequestSession } from './request-session.ts'
import type { Done } from './store.ts'

export interface HoldUntilSavedOptions {
  readonly session: RequestSession
  readonly store: FourfoldStore
  readonly next: Next
  readonly log: Logger
  /** What must be done beside the session before the headers go out, once it is stored. */
  readonly finish?: (statusCode: number, head: Head) => Promise<void> | undefined
}

export function holdUntilSaved(options: HoldUntilSavedOptions): void {
  const { session, store, next, log, finish } = options
  const { request, response } = session
  let told = false
  let failed = false

  const prepare = (statusCode: number, head: Head): Promise<void> | undefined => {
    if (session.refused || (!request.session && !session.mustDestroy)) return finish?.(statusCode, head)
    const work = workOf(options)
    if (work === null) {
      // A client whose session goes on under another id has that one's cookie: another would push it out.
      told = !store.hasMoved(request) && tellCookie(session, head, next)
      return finish?.(statusCode, head)
    }
    return work().then(
      () => {
        told = tellCookie(session, head, next)
        return finish?.(statusCode, head)
      },
      async (error: unknown) => {
        await finish?.(500, head)?.catch(() => undefined)
        throw error
      },
    )
  }

  /** A stream's last changes; those to a session that the headers did not tell of would be nobody's. */
  const beforeEnd = (): Promise<void> | undefined => {
    if (failed || session.refused || store.hasMoved(request) || !session.unsaved) return undefined
    if (told || session.sentId === request.sessionID) return ask((done) => void request.session!.save(done))
    log.warn(
      { url: request.url },
      'a session began after its answer had: it was not stored, for no cookie could tell of it',
    )
    return undefined
  }

  const fail = (error: unknown, ended: boolean): 'open' | 'dropped' => {
    failed = true
    if (response.headersSent) {
      log.error({ error, url: request.url }, 'a session could not be stored after its answer had begun')
      response.destroy()
    } else if (!ended) {
      // The handler is still writing: an error handler's answer would mix with what is to come.
      log.error({ error, url: request.url }, 'a session could not be stored')
      answerError(request, response, error)
      return 'dropped'
    }
    for (const name of ['content-length', 'content-encoding', 'etag', 'cache-control'])
      if (!response.headersSent) response.removeHeader(name)
    setImmediate(next, error)
    return 'open'
  }

  holdResponse(response, { prepare, beforeEnd, fail })
}

/** What the store must be told of this request, or null. */
function workOf({ session, store }: HoldUntilSavedOptions): (() => Promise<void>) | null {
  const { request } = session
  if (session.mustDestroy) {
    return async () => {
      await session.withFirst(() => store.beforeLeaving(request))
      await ask((done) => store.destroy(request.sessionID, done))
    }
  }
  if (store.hasMoved(request)) return session.holdsNothing ? null : () => Promise.reject(sessionGone())
  session.touch()
  const { save, touch } = session.owed
  if (save) return () => ask((done) => void request.session!.save(done))
  if (!touch || !store.isTouchDue(request.session!)) return null
  return () => ask((done) => store.touch(request.sessionID, request.session!, done))
}

/** Answers whether the client knows of the session now. */
function tellCookie(session: RequestSession, head: Head, next: Next): boolean {
  try {
    const header = session.cookieHeader()
    if (header !== null) head.append('set-cookie', header)
    return header !== null
  } catch (error) {
    setImmediate(next, error)
    return false
  }
}

function ask(work: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    work((error) => (error ? reject(error as Error) : resolve()))
  })
}
