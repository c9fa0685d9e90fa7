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

interface Representation {
  readonly body: Buffer
  /** As it stands in a field. */
  readonly etag: string
  /** Flat. */
  readonly headers: string[]
  /** Of a 304: flat. */
  readonly unchanged: string[]
}

export interface PageRequest {
  readonly method?: string | undefined
  readonly headers: IncomingHttpHeaders
}

/** Whether it is a 304 has nothing to do with its document's status, which is 200 then. */
export interface PageAnswer {
  readonly status: number
  /** Flat: names and values. */
  readonly headers: string[]
  readonly body: Buffer | null
}

/** A document with what is sent of it. */
export class AnsweredPage {
  readonly document: PageDocument
  readonly #made: { br?: Representation; gzip?: Representation; identity?: Representation } = {}

  constructor(document: PageDocument) {
    this.document = document
  }

  answer({ method, headers }: PageRequest): PageAnswer {
    const { document } = this
    const coding = document.plain === null ? codingFor(headers['accept-encoding']) : 'identity'
    const made = (this.#made[coding] ??= represent(document, coding))
    if (isUnchanged(document, headers)) return { status: 304, headers: made.unchanged, body: null }
    return { status: document.status, headers: made.headers, body: method === 'HEAD' ? null : made.body }
  }
}

export function writeAnswer(response: ServerResponse, { status, headers, body }: PageAnswer): void {
  response.writeHead(status, headers)
  if (body === null) response.end()
  else response.end(body)
}

function represent(document: PageDocument, coding: Coding): Representation {
  const body = bodyFor(document, coding)
  const etag = `"${document.tag}${coding === 'identity' ? '' : `-${coding}`}"`
  // What is kept as it is has one form, whatever is accepted.
  const varies = document.plain === null ? ['vary', 'accept-encoding'] : []
  const encoded = coding === 'identity' ? [] : ['content-encoding', coding]
  const common = ['etag', etag, ...varies]
  return {
    body,
    etag,
    headers: [...document.headers, ...common, ...encoded, 'content-length', String(body.length)],
    unchanged: [...keptFields(document.headers), ...common],
  }
}

function bodyFor({ plain, gzip, br }: PageDocument, coding: Coding): Buffer {
  const kept = plain ?? (coding === 'br' ? br! : gzip!)
  const bytes = Buffer.from(kept.buffer, kept.byteOffset, kept.byteLength)
  return plain === null && coding === 'identity' ? gunzipSync(bytes) : bytes
}

/** What a 304 repeats (RFC 9110, 15.4.5). */
const ofUnchanged = new Set(['cache-control', 'cdn-cache-control', 'content-location', 'expires', 'surrogate-control'])

function keptFields(headers: readonly string[]): string[] {
  return headers.filter((_, at) => ofUnchanged.has(headers[at - (at % 2)]!))
}

/** RFC 9110, 13.1.2: the weak comparison, with any representation. Only a 200 can be unchanged. */
function isUnchanged({ tag, status, headers: own }: PageDocument, headers: IncomingHttpHeaders): boolean {
  const given = headers['if-none-match']
  if (status !== 200) return false
  if (given === undefined) return isOlder(own, headers['if-modified-since'])
  if (given.trim() === '*') return true
  for (const one of given.split(',')) {
    const text = one.trim().replace(/^W\//, '')
    if (text === `"${tag}"` || text === `"${tag}-br"` || text === `"${tag}-gzip"`) return true
  }
  return false
}

/** Only where the page itself says when it was changed. */
function isOlder(headers: readonly string[], since: string | undefined): boolean {
  if (since === undefined) return false
  const at = headers.findIndex((name, place) => place % 2 === 0 && name === 'last-modified')
  if (at < 0) return false
  return Date.parse(headers[at + 1]!) <= Date.parse(since)
}

const codings = new Map<string, Coding>()
const maxKnown = 200

/** Brotli before gzip where both are as welcome; as it is where nothing else is (RFC 9110, 12.5.3). */
export function codingFor(accepted: string | string[] | undefined): Coding {
  if (accepted === undefined || accepted === '') return 'identity'
  const text = String(accepted)
  const known = codings.get(text)
  if (known !== undefined) return known
  const coding = chooseCoding(text)
  // They come from anybody.
  if (codings.size >= maxKnown) codings.clear()
  codings.set(text, coding)
  return coding
}

function chooseCoding(accepted: string): Coding {
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
