/**
 * The way of express-session, for stores of others: the headers go out at once, and the last piece of the answer
 * waits until the session is stored. A failure is handed to `next` when the client has the answer's beginning already.
 */

import type { ServerResponse } from 'node:http'
import { beforeHead } from '../held-response.ts'
import { appendCookie } from './request-cookie.ts'
import type { Next, RequestSession } from './request-session.ts'
import type { Done } from './store.ts'

type Work = (done: Done) => void

export function endAfterSave(session: RequestSession, next: Next): void {
  const { response } = session
  const later: Done = (error) => void (error && setImmediate(next, error))
  beforeHead(response, () => {
    try {
      const header = session.cookieHeader()
      if (header !== null) appendCookie(response, header)
    } catch (error) {
      later(error)
    }
  })
  const { end, write } = response
  let ended = false
  const patched = (chunk?: unknown, encoding?: unknown, sent?: unknown): unknown => {
    if (ended) return false
    ended = true
    const work = lastWork(session)
    if (work === null) return end.call(response, chunk, encoding as BufferEncoding, sent as () => void)
    return new LastPiece(response, { end, write }, [chunk, encoding, sent]).sendAfter(work, later)
  }
  response.end = patched as ServerResponse['end']
}

/** What is left to tell the store when the answer ends. */
function lastWork(session: RequestSession): Work | null {
  const { request, settings } = session
  if (session.mustDestroy) return (done) => settings.store.destroy(request.sessionID, done)
  if (!request.session) return null
  session.touch()
  if (session.mustSave) return (done) => void request.session!.save(done)
  const { store } = settings
  if (typeof store.touch === 'function' && session.mustTouch)
    return (done) => store.touch!(request.sessionID, request.session!, done)
  return null
}

type Original = Pick<ServerResponse, 'end' | 'write'>

/** The arguments of `end`: what can go out goes out at once, and the rest when the work is done. */
class LastPiece {
  readonly #response: ServerResponse
  readonly #original: Original
  #rest: unknown[]
  #finished = false

  constructor(response: ServerResponse, original: Original, values: unknown[]) {
    this.#response = response
    this.#original = original
    const [chunk, encoding, sent] = values
    this.#rest =
      typeof chunk === 'function'
        ? [chunk]
        : typeof encoding === 'function'
          ? [chunk, encoding]
          : [chunk, encoding, sent]
  }

  sendAfter(work: Work, later: Done): unknown {
    let result: unknown = true
    work((error) => {
      later(error)
      if (this.#finished) return
      this.#finished = true
      result = this.#original.end.apply(this.#response, this.#rest as Parameters<ServerResponse['end']>)
    })
    // A store that answered at once has ended the answer already.
    return this.#finished ? result : this.#sendMost()
  }

  /** Where the length was told, its last byte stays behind: without it no client takes the answer for complete. */
  #sendMost(): unknown {
    const response = this.#response as ServerResponse & { _implicitHeader(): void }
    if (!response.headersSent) response._implicitHeader()
    const [chunk, encoding] = this.#rest
    if (chunk === undefined || chunk === null || typeof chunk === 'function') return true
    const bytes =
      typeof chunk === 'string' ? Buffer.from(chunk, asEncoding(encoding)) : Buffer.from(chunk as Uint8Array)
    const callback = this.#rest.findLast((value) => typeof value === 'function')
    const length = Number(response.getHeader('content-length'))
    const kept = length > 0 && bytes.length > 0 ? bytes.length - 1 : bytes.length
    this.#rest = [bytes.subarray(kept), undefined, callback]
    return kept === 0 || this.#original.write.call(response, bytes.subarray(0, kept), 'utf8')
  }
}

function asEncoding(value: unknown): BufferEncoding | undefined {
  return typeof value === 'string' ? (value as BufferEncoding) : undefined
}
