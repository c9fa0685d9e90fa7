/**
 * Which build a request may go to. Outside of a rollout that is one build, and nothing here costs anything. While a
 * rollout moves readers a share at a time, every request of a reader must go to the same build or to a newer one:
 *
 * - Who the reader is: the `Authorization` header, else the session's cookie, else the address. A hash of it with the
 *   rollout's ordinal is a number in [0, 1); those below the share are the new build's. The share never falls within a
 *   rollout, so a reader that was moved stays moved, whichever balancer looks, and after a restart of it.
 * - A reader may change its name (log in, get a new token). So an answer of the new build brings a cookie that names it,
 *   and a connection that it answered on is its own from then on. Both only ever move a reader on.
 *
 * The cookie is not signed: all that a forged one brings about is to see a build that others are shown already.
 */

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

import { shortBuildId } from '../build/build-id.ts'
import type { Admission, AdmittedBuild, BuildCounts } from '../protocol.ts'
import { createTrust, plainAddress } from './trust.ts'

export interface AdmissionOptions {
  /** The name of the session's cookie. Default: `'ff_session'`. */
  readonly readerCookie?: string
  /** Peers whose `X-Forwarded-For` names the reader's address, and whose connections are shared by many readers. */
  readonly trustProxy: readonly string[]
}

export const buildCookie = 'ff_build'
/** Longer than a rollout takes; its value means nothing to the next one. */
const cookieSeconds = 86_400

export class BuildAdmission {
  readonly #options: AdmissionOptions
  readonly #trusted: (address: string) => boolean
  readonly #moved = new WeakMap<Duplex, number>()
  readonly #counts = new Map<string, { requests: number; errors: number }>()
  #admission: Admission | undefined

  constructor(options: AdmissionOptions) {
    this.#options = options
    this.#trusted = createTrust(options.trustProxy)
  }

  set(admission: Admission | undefined): void {
    this.#admission = admission
  }

  /** Whether a build gets any requests. Without an admission every build does. */
  admits(buildId: string): boolean {
    const admission = this.#admission
    if (admission === undefined) return true
    const { current, next, share, halt } = admission
    if (halt === true) return false
    if (next !== undefined && share > 0 && buildId === next.id) return true
    return buildId === current.id && (next === undefined || share < 1)
  }

  /** Whether a build is known to be right, also where it gets no requests yet. */
  knows(buildId: string): boolean {
    const admission = this.#admission
    return admission === undefined || buildId === admission.current.id || buildId === admission.next?.id
  }

  /** Whether another admission will follow soon, so that it is worth waiting for. */
  get changing(): boolean {
    return this.#admission?.next !== undefined || this.#admission?.halt === true
  }

  /** The build that this request must go to; null: whichever is admitted. */
  buildFor(request: IncomingMessage | undefined): string | null {
    const admission = this.#admission
    if (admission?.next === undefined || admission.share <= 0 || admission.share >= 1) return null
    const { current, next, share } = admission
    if (request === undefined) return current.id
    if (!this.#isMoved(request, next) && positionOf(this.#readerOf(request), next) >= share) return current.id
    if (!this.#isShared(request)) this.#moved.set(request.socket, next.ordinal)
    return next.id
  }

  /** An answer has begun: counts it, and adds the headers that say which build it is. */
  answered(buildId: string, request: IncomingMessage, status: number, headers: string[], expose: boolean): void {
    const admission = this.#admission
    if (admission === undefined || buildId === '') return
    this.#count(buildId, status >= 500)
    if (expose) headers.push('x-fourfold-build', shortBuildId(buildId))
    const { next, share } = admission
    if (next === undefined || share <= 0 || buildId !== next.id || cookieOf(request, buildCookie) === valueFor(next))
      return
    if (isForEverybody(headers)) return
    headers.push(
      'set-cookie',
      `${buildCookie}=${valueFor(next)}; Path=/; Max-Age=${cookieSeconds}; HttpOnly; SameSite=Lax`,
    )
  }

  /** A request was broken off by its clone, or not answered in time. */
  failed(buildId: string): void {
    if (this.#admission !== undefined) this.#count(buildId, true)
  }

  counts(): BuildCounts {
    return Object.fromEntries(this.#counts)
  }

  #count(buildId: string, error: boolean): void {
    let counts = this.#counts.get(buildId)
    if (counts === undefined) this.#counts.set(buildId, (counts = { requests: 0, errors: 0 }))
    counts.requests += 1
    if (error) counts.errors += 1
  }

  #isMoved(request: IncomingMessage, next: AdmittedBuild): boolean {
    return this.#moved.get(request.socket) === next.ordinal || cookieOf(request, buildCookie) === valueFor(next)
  }

  #readerOf(request: IncomingMessage): string {
    const { authorization } = request.headers
    if (authorization !== undefined) return `token ${authorization}`
    const { readerCookie = 'ff_session' } = this.#options
    const session = cookieOf(request, readerCookie) ?? cookieOf(request, `__Host-${readerCookie}`)
    if (session !== null) return `session ${session}`
    const forwarded = this.#isShared(request) ? String(request.headers['x-forwarded-for'] ?? '').split(',')[0] : ''
    return `address ${forwarded?.trim() || plainAddress(request.socket.remoteAddress)}`
  }

  #isShared(request: IncomingMessage): boolean {
    return this.#trusted(plainAddress(request.socket.remoteAddress))
  }
}

/** Where a reader stands in a rollout: in [0, 1), evenly spread, another place in each rollout. */
export function positionOf(reader: string, { id, ordinal }: AdmittedBuild): number {
  let hash = 0x811c9dc5
  for (const text of [reader, `\n${ordinal} ${id}`]) {
    for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  // FNV-1a spreads its high bits badly over short texts; this is the end of MurmurHash3.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32
}

function valueFor({ id, ordinal }: AdmittedBuild): string {
  return `${ordinal}.${shortBuildId(id)}`
}

function cookieOf(request: IncomingMessage, name: string): string | null {
  const { cookie } = request.headers
  if (cookie === undefined || !cookie.includes(name)) return null
  for (const pair of cookie.split(';')) {
    const [key, ...value] = pair.split('=')
    if (key?.trim() === name) return value.join('=').trim()
  }
  return null
}

/** A cookie on an answer that caches share would be handed to all their readers. */
function isForEverybody(headers: readonly string[]): boolean {
  const at = headers.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === 'cache-control')
  return at >= 0 && /public|s-maxage|immutable/i.test(headers[at + 1] ?? '')
}
