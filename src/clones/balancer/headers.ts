/**
 * Headers on their way through the balancer. Those of one hop end here, among them whatever `Connection` names.
 * Forwarding headers of a client are dropped unless the peer is a trusted proxy, so that what a clone reads there is
 * always what the balancer or a trusted proxy saw.
 *
 * Flat lists of names and values, as Node's parser gives them: order and repeated names survive.
 */

import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { NextRequestId } from './request-id.ts'
import { readTarget, type FramingHeaders, type Target } from './target.ts'
import { plainAddress, type Trust } from './trust.ts'

/** The request id a client may hand in: it ends up in logs. */
const requestIdPattern = /^[\w.:=+/@-]{1,128}$/

/** A request as it is forwarded. */
export interface RequestHead extends Target {
  /** Without Content-Length and Transfer-Encoding: whoever sends the body writes one of them. */
  readonly headers: string[]
  readonly requestId: string
}

/**
 * What a clone is sent of a client's request.
 *
 * @throws FF_BALANCER_BAD_REQUEST if two readers could understand it differently
 */
export function readRequestHead(request: IncomingMessage, trust: Trust, nextRequestId: NextRequestId): RequestHead {
  const { rawHeaders: raw } = request
  const peer = plainAddress(request.socket.remoteAddress)
  const trusted = trust(peer)
  const kept: string[] = ['host', '']
  const seen: SeenHeaders = { hosts: 0, lengths: 0, codings: 0 }
  for (let index = 0; index < raw.length; index += 2) {
    const original = raw[index] ?? ''
    const value = raw[index + 1] ?? ''
    const name = original.toLowerCase()
    if (requestHop.has(name)) note(seen, name, value)
    else if (name === 'x-request-id') seen.requestId ??= value
    else if (!isForwarding(name)) kept.push(original, value)
    else if (trusted) keepTrusted(kept, seen, name, value)
  }
  const target = readTarget(request, seen)
  kept[1] = target.host
  const headers = seen.named === undefined ? kept : withoutNamed(kept, seen.named)
  const requestId =
    seen.requestId !== undefined && requestIdPattern.test(seen.requestId) ? seen.requestId : nextRequestId()
  addForwarding(headers, seen, request, peer, target.host)
  headers.push('x-request-id', requestId)
  if (seen.takesTrailers === true) headers.push('te', 'trailers')
  return { path: target.path, host: target.host, bodyLength: target.bodyLength, headers, requestId }
}

interface SeenHeaders extends FramingHeaders {
  /** Values of forwarding headers, of trusted peers only. */
  for?: string
  forwarded?: string
  protocol?: string
  forwardedHost?: string
  requestId?: string
  /** What `Connection` names. */
  named?: Set<string>
  takesTrailers?: boolean
}

function note(seen: SeenHeaders, name: string, value: string): void {
  if (name === 'host') {
    seen.hosts += 1
    seen.host = value
  } else if (name === 'content-length') {
    seen.lengths += 1
    seen.length = value
  } else if (name === 'transfer-encoding') {
    seen.codings += 1
    seen.coding = value
  } else if (name === 'connection') {
    const named = connectionNames(value)
    if (named !== null) seen.named = new Set([...(seen.named ?? []), ...named])
  } else if (name === 'te' && /(?:^|,)\s*trailers\s*(?:$|[,;])/i.test(value)) seen.takesTrailers = true
}

function withoutNamed(headers: readonly string[], named: ReadonlySet<string>): string[] {
  // The host is not of one hop, whatever a client says.
  const kept = headers.slice(0, 2)
  for (let index = 2; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const lower = name.toLowerCase()
    if (!named.has(lower) || endToEnd.has(lower) || isForwarding(lower)) kept.push(name, headers[index + 1] ?? '')
  }
  return kept
}

/** Underscores count as hyphens: some frameworks read `X_Forwarded_For` as the same header. */
function isForwarding(name: string): boolean {
  const first = name.charCodeAt(0)
  if (first !== letterX && first !== letterF) return false
  const plain = name.includes('_') ? name.replaceAll('_', '-') : name
  return (
    plain.startsWith('x-forwarded-') ||
    plain.startsWith('x-fourfold-') ||
    plain === 'forwarded' ||
    plain === 'x-real-ip'
  )
}

const letterX = 'x'.charCodeAt(0)
const letterF = 'f'.charCodeAt(0)

function keepTrusted(headers: string[], seen: SeenHeaders, name: string, value: string): void {
  if (name === 'x-forwarded-for') seen.for = seen.for === undefined ? value : `${seen.for}, ${value}`
  else if (name === 'forwarded') seen.forwarded = seen.forwarded === undefined ? value : `${seen.forwarded}, ${value}`
  else if (name === 'x-forwarded-proto') seen.protocol ??= value
  else if (name === 'x-forwarded-host') seen.forwardedHost ??= value
  else if (name.startsWith('x-forwarded-')) headers.push(name, value)
}

function addForwarding(
  headers: string[],
  seen: SeenHeaders,
  request: IncomingMessage,
  peer: string,
  host: string,
): void {
  const protocol = (request.socket as Partial<TLSSocket>).encrypted === true ? 'https' : 'http'
  const node = peer.includes(':') ? `"[${peer}]"` : peer
  const element = `for=${node};host="${host}";proto=${protocol}`
  headers.push(
    'x-forwarded-for',
    seen.for === undefined ? peer : `${seen.for}, ${peer}`,
    'x-forwarded-proto',
    seen.protocol ?? protocol,
    'x-forwarded-host',
    seen.forwardedHost ?? host,
    'forwarded',
    seen.forwarded === undefined ? element : `${seen.forwarded}, ${element}`,
  )
}

export interface AnswerHeaders {
  readonly headers: string[]
  /** Whether the answer is an event stream: it may last for hours and send nothing for minutes. */
  readonly eventStream: boolean
  /** The length of the body that was declared, or null. */
  readonly length: number | null
  readonly hasRequestId: boolean
  /** Names of the trailers that are announced, or null: it may stand only where they can follow. */
  readonly trailer: string | null
}

/** What a client is sent of a clone's headers. */
export function forwardAnswerHeaders(raw: readonly string[], status: number): AnswerHeaders {
  let headers: string[] = []
  let named: Set<string> | null = null
  let eventStream = false
  let hasRequestId = false
  let length: string | null = null
  let trailer: string | null = null
  let coded = false
  for (let index = 0; index < raw.length; index += 2) {
    const original = raw[index] ?? ''
    const value = raw[index + 1] ?? ''
    const name = original.toLowerCase()
    if (answerHop.has(name)) {
      if (name === 'connection') named = connectionNames(value) ?? named
      else if (name === 'transfer-encoding') coded = true
      else if (name === 'trailer') trailer = trailer === null ? value : `${trailer}, ${value}`
      continue
    }
    if (name === 'content-length') {
      length = value
      continue
    }
    if (name === 'x-request-id') hasRequestId = true
    else if (name === 'content-type' && isEventStream(value)) eventStream = true
    headers.push(original, value)
  }
  if (named !== null) headers = withoutNamed(['', '', ...headers], named).slice(2)
  // Never both; and no length where no body may follow.
  if (length === null || coded || status === 204) return { headers, eventStream, length: null, hasRequestId, trailer }
  headers.push('content-length', length)
  return { headers, eventStream, length: Number(length), hasRequestId, trailer }
}

function isEventStream(type: string): boolean {
  return type.length >= eventStreamType.length && type.toLowerCase().startsWith(eventStreamType)
}

const eventStreamType = 'text/event-stream'

/** What came behind a body, without what would be taken for a part of the head (RFC 9110, 6.5.1). */
export function forwardTrailers(raw: readonly string[]): readonly string[] {
  if (raw.length === 0) return raw
  const kept: string[] = []
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase()
    if (!headOnly.has(name) && !isForwarding(name)) kept.push(raw[index] ?? '', raw[index + 1] ?? '')
  }
  return kept
}

/** Null where it names nothing but what is known anyway. */
function connectionNames(value: string): Set<string> | null {
  if (value === 'keep-alive' || value === 'close') return null
  const names = value
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
  return new Set(names)
}

const hop = ['connection', 'keep-alive', 'proxy-connection', 'te', 'transfer-encoding', 'upgrade']
const requestHop = new Set([
  ...hop,
  'host',
  'content-length',
  'expect',
  'trailer',
  'proxy-authorization',
  'http2-settings',
])
/**
 * Whoever may write `Connection` must not be able to take away what says who asks, from where, and what was sent, which
 * a proxy in front may have added (RFC 9110, 7.6.1, forbids to name such headers; CVE-2022-31813).
 */
const endToEnd = new Set([
  ...['authorization', 'cookie', 'set-cookie', 'origin', 'referer', 'x-request-id', 'via'],
  ...['content-type', 'content-encoding', 'content-range', 'cache-control', 'range', 'location'],
])
const answerHop = new Set([...hop, 'trailer', 'proxy-authenticate', 'x-fourfold-clone', 'x-fourfold-build'])
const headOnly = new Set([
  ...requestHop,
  ...answerHop,
  ...['authorization', 'cache-control', 'content-encoding', 'content-range', 'content-type', 'cookie', 'set-cookie'],
  ...['max-forwards', 'range', 'location', 'vary', 'age', 'date', 'expires', 'retry-after', 'www-authenticate'],
])
