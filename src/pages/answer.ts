/**
 * How a document is answered: conditions, HEAD and encodings by RFC 9110, the same in a clone and in the balancer.
 *
 * Each encoding is a representation of its own with its own strong ETag; all of them are made once and kept with the
 * document. Ranges are not served, which RFC 9110 allows: a page is small.
 */

import { gunzipSync } from 'node:zlib'

import type { PageDocument } from './document.ts'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'

type Coding = 'br' | 'gzip' | 'identity'

/** All that can be answered with one coding, made once. */
interface Representation {
  readonly etag: string
  readonly whole: PageAnswer
  readonly head: PageAnswer
  readonly unchanged: PageAnswer
}

export interface PageRequest {
  readonly method?: string | undefined
  readonly headers: IncomingHttpHeaders
}

/** What of a request decides how a page is answered. */
export interface PageConditions {
  readonly head: boolean
  readonly acceptEncoding: string | undefined
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: string | undefined
}

/** Whether it is a 304 has nothing to do with its document's status, which is 200 then. */
export interface PageAnswer {
  readonly status: number
  /** Flat: names and values. */
  readonly headers: string[]
  readonly body: Buffer | null
  /** For whoever writes it, to keep what was made of it. */
  lines?: string | null
}

/** A document with what is sent of it. */
export class AnsweredPage {
  readonly document: PageDocument
  readonly #more: readonly string[]
  #br: Representation | null = null
  #gzip: Representation | null = null
  #identity: Representation | null = null
  readonly #onExpanded: ((page: AnsweredPage) => void) | null

  /**
   * @param more headers of each answer besides the document's: flat
   * @param onExpanded told when the body as it is was made of a compressed one, and is kept
   */
  constructor(
    document: PageDocument,
    more: readonly string[] = [],
    onExpanded: ((page: AnsweredPage) => void) | null = null,
  ) {
    this.document = document
    this.#more = more
    this.#onExpanded = onExpanded
  }

  /** Lets go of the body as it is, where that was made of a compressed one. */
  shrink(): void {
    if (this.document.plain === null) this.#identity = null
  }

  /** By all conditions, in the order of RFC 9110, 13.2.2. */
  answer({ method, headers }: PageRequest): PageAnswer {
    const acceptEncoding = headers['accept-encoding'] as string | undefined
    if (isConditional(this.document) && this.#isAnother(headers, acceptEncoding)) {
      return { status: 412, headers: ['cache-control', 'no-cache'], body: null }
    }
    return this.answerTo({
      head: method === 'HEAD',
      acceptEncoding,
      ifNoneMatch: headers['if-none-match'],
      ifModifiedSince: headers['if-modified-since'],
    })
  }

  /** The same answer to whom the same is due: not to be changed. */
  answerTo({ head, acceptEncoding, ifNoneMatch, ifModifiedSince }: PageConditions): PageAnswer {
    const { document } = this
    const made = this.#selected(acceptEncoding)
    const conditional = ifNoneMatch !== undefined || ifModifiedSince !== undefined
    if (conditional && isConditional(document) && isUnchanged(document, made, ifNoneMatch, ifModifiedSince)) {
      return made.unchanged
    }
    return head ? made.head : made.whole
  }

  /** RFC 9110, 13.1.1 and 13.1.4: whoever asks for a certain document, or one of a certain time, gets no other. */
  #isAnother(headers: IncomingHttpHeaders, acceptEncoding: string | undefined): boolean {
    const wanted = headers['if-match']
    if (wanted !== undefined) {
      if (wanted.trim() === '*') return false
      const { etag } = this.#selected(acceptEncoding)
      return !wanted.split(',').some((one) => one.trim() === etag)
    }
    const since = headers['if-unmodified-since']
    const own = this.document.headers
    const at = since === undefined ? -1 : placeOf(own, 'last-modified')
    return at >= 0 && Date.parse(own[at + 1]!) > Date.parse(since!)
  }

  /** The representation that a request would be sent: the one that its conditions are about. */
  #selected(acceptEncoding: string | undefined): Representation {
    return this.#madeFor(this.document.plain === null ? codingFor(acceptEncoding) : 'identity')
  }

  #madeFor(coding: Coding): Representation {
    if (coding === 'br') return (this.#br ??= represent(this.document, coding, this.#more))
    if (coding === 'gzip') return (this.#gzip ??= represent(this.document, coding, this.#more))
    if (this.#identity !== null) return this.#identity
    const made = (this.#identity = represent(this.document, coding, this.#more))
    if (this.document.plain === null) this.#onExpanded?.(this)
    return made
  }
}

export function writeAnswer(response: ServerResponse, { status, headers, body }: PageAnswer): void {
  response.writeHead(status, headers)
  if (body === null) response.end()
  else response.end(body)
}

function represent(document: PageDocument, coding: Coding, more: readonly string[]): Representation {
  const body = bodyFor(document, coding)
  const etag = `"${document.tag}${coding === 'identity' ? '' : `-${coding}`}"`
  // What is kept as it is has one form, whatever is accepted.
  const varies = document.plain === null ? ['vary', 'accept-encoding'] : []
  const encoded = coding === 'identity' ? [] : ['content-encoding', coding]
  const common = ['etag', etag, ...varies]
  const { status } = document
  // RFC 9110, 8.6: a 204 has no length.
  const length = status === 204 ? [] : ['content-length', String(body.length)]
  const headers = [...document.headers, ...common, ...encoded, ...more, ...length]
  return {
    etag,
    whole: { status, headers, body, lines: null },
    head: { status, headers, body: null, lines: null },
    unchanged: { status: 304, headers: [...keptFields(document.headers), ...common, ...more], body: null, lines: null },
  }
}

function bodyFor({ plain, gzip, br }: PageDocument, coding: Coding): Buffer {
  const kept = plain ?? (coding === 'br' ? br! : gzip!)
  const bytes = Buffer.from(kept.buffer, kept.byteOffset, kept.byteLength)
  return plain === null && coding === 'identity' ? gunzipSync(bytes) : bytes
}

/** What a 304 repeats (RFC 9110, 15.4.5). */
const ofUnchanged = new Set([
  'cache-control',
  'cdn-cache-control',
  'content-location',
  'expires',
  'surrogate-control',
  'vary',
])

function keptFields(headers: readonly string[]): string[] {
  return headers.filter((_, at) => ofUnchanged.has(headers[at - (at % 2)]!))
}

/** RFC 9110, 13.2.1: what is neither there nor well is answered whatever the conditions are. */
function isConditional({ status }: PageDocument): boolean {
  return status >= 200 && status < 300
}

/** RFC 9110, 13.1.2: the weak comparison, with what would be sent. */
function isUnchanged(
  { headers: own }: PageDocument,
  { etag }: Representation,
  given: string | undefined,
  since: string | undefined,
): boolean {
  if (given === undefined) return isOlder(own, since)
  if (given.trim() === '*') return true
  return given.split(',').some((one) => one.trim().replace(/^W\//, '') === etag)
}

/** Only where the page itself says when it was changed. */
function isOlder(headers: readonly string[], since: string | undefined): boolean {
  if (since === undefined) return false
  const at = placeOf(headers, 'last-modified')
  if (at < 0) return false
  return Date.parse(headers[at + 1]!) <= Date.parse(since)
}

function placeOf(headers: readonly string[], wanted: string): number {
  return headers.findIndex((name, place) => place % 2 === 0 && name === wanted)
}

/** A list without weights, as browsers send it. */
const plainList = /^[\w\s,-]*$/
const namesBrotli = /(?:^|[\s,])br(?:$|[\s,])/i
const namesGzip = /(?:^|[\s,])(?:x-)?gzip(?:$|[\s,])/i

/** Brotli before gzip where both are as welcome; as it is where nothing else is (RFC 9110, 12.5.3). */
export function codingFor(accepted: string | string[] | undefined): Coding {
  if (accepted === undefined || accepted === '') return 'identity'
  const text = String(accepted)
  if (!plainList.test(text)) return weighCodings(text)
  if (namesBrotli.test(text)) return 'br'
  return namesGzip.test(text) ? 'gzip' : 'identity'
}

function weighCodings(accepted: string): Coding {
  const weights = new Map<string, number>()
  for (const part of accepted.split(',')) {
    const [name = '', ...parameters] = part.split(';').map((piece) => piece.trim().toLowerCase())
    const quality = parameters.find((parameter) => parameter.startsWith('q='))
    weights.set(name === 'x-gzip' ? 'gzip' : name, quality === undefined ? 1 : Number(quality.slice(2)) || 0)
  }
  const rest = weights.get('*') ?? 0
  const br = weights.get('br') ?? rest
  const gzip = weights.get('gzip') ?? rest
  const identity = weights.get('identity') ?? 0
  if (br > 0 && br >= gzip && br >= identity) return 'br'
  return gzip > 0 && gzip >= identity ? 'gzip' : 'identity'
}
