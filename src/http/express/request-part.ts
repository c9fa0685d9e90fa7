/**
 * `req.ff`: the app's instance for this request's reader, and what its answer must carry. Made once a request, by
 * whichever middleware comes first; the session middleware ties its session to it.
 */

import type { ServerResponse } from 'node:http'
import type { Fourfold } from '../../app/fourfold.ts'
import type { Head } from '../held-response.ts'
import type { Level } from '../../freshness/level.ts'
import { sendResponse } from '../jobs.ts'
import { findPage, ownHeaders } from '../pages.ts'
import { addAnswer, RequestContext } from '../request-context.ts'
import type { PageAnswer } from '../../pages/answer.ts'
import type { RouteBake } from '../../pages/route-bakes.ts'
import type { SessionBond } from './fourfold-store.ts'
import type { ExpressRequest } from './request-cookie.ts'

/** The level of a request's reads. */
export type LevelOf = (request: any) => Level | undefined

/** Path and query, also where Express has taken away what a router stands under. */
export function originalTarget({ originalUrl, url = '' }: ExpressRequest): string {
  return originalUrl ?? url
}

/** What has to be done before an answer's headers go out. */
export type Finish = (statusCode: number, head: Head) => Promise<void> | undefined

const partKey = Symbol('fourfold.request')

export class RequestPart implements SessionBond {
  reader: string | null = null
  handedOver = false
  readonly #request: ExpressRequest
  readonly #ff: Fourfold<any>
  readonly #level: LevelOf
  /** Asked for by any of the middlewares. */
  cacheStatus = false
  #context: RequestContext<Fourfold<any>> | null = null
  #claimed = false

  constructor(request: ExpressRequest, ff: Fourfold<any>, level: LevelOf) {
    this.#request = request
    this.#ff = ff
    this.#level = level
  }

  get ff(): Fourfold<any> {
    return this.#used().ff
  }

  /** The bake that asks; null for a client. */
  get bake(): RouteBake | null {
    return this.#ff.pages.bakes.of(this.#request.headers)
  }

  /** Answers with the job or page that is asked for, or goes on: to a route of the app. */
  answerPage(response: ServerResponse, next: (error?: unknown) => void): void {
    const request = this.#request
    const { method, headers, originalUrl = request.url } = request
    if (this.#ff.jobs.covers(originalUrl)) {
      const asked = { method, headers, url: originalUrl }
      this.ff.jobs
        .answer(asked)
        .then((answer) => sendResponse(response, answer))
        .catch(next)
      return
    }
    const match = this.#ff.pages.match({ method, url: originalUrl, headers })
    if (match === null) return next()
    findPage(this.#ff, this.#used(), match, request)
      .then((answer) => (answer === null ? next() : writePage(response, answer)))
      .catch(next)
  }

  newReader(): string {
    return this.#used().newReader()
  }

  beforeHandover(): Promise<void> {
    return this.#used().beforeHandover()
  }

  /** For whoever holds the answer; undefined where somebody does already. */
  claimAnswer(): Finish | undefined {
    if (this.#claimed) return undefined
    this.#claimed = true
    return (statusCode, head) => (this.#context === null ? undefined : addAnswer(this.#context, statusCode, head))
  }

  /** Made when first needed: many requests read a session and nothing else. */
  #used(): RequestContext<Fourfold<any>> {
    const request = this.#request
    const ff = this.#ff
    const level = this.#level
    this.#context ??= new RequestContext<Fourfold<any>>({
      host: ff,
      raw: request,
      kept: this,
      identify: ff.identify === undefined ? undefined : () => ff.identify?.(request as any),
      level: () => level(request),
      cacheStatus: this.cacheStatus,
    })
    return this.#context
  }
}

/** What sessions add to the answer is not known yet: nobody may keep it for others. */
function writePage(response: ServerResponse, { status, headers, body }: PageAnswer): void {
  const own = ownHeaders(headers)
  for (let at = 0; at < own.length; at += 2) response.setHeader(own[at]!, own[at + 1]!)
  response.statusCode = status
  response.end(body ?? undefined)
}

/** Gives a request its `ff`, if it has none yet. */
export function giveInstance(request: ExpressRequest, ff: Fourfold<any>, level: LevelOf): RequestPart {
  const known = (request as { [partKey]?: RequestPart })[partKey]
  if (known !== undefined) return known
  const part = new RequestPart(request, ff, level)
  ;(request as { [partKey]?: RequestPart })[partKey] = part
  Object.defineProperty(request, 'ff', { configurable: true, get: () => part.ff })
  return part
}
