/**
 * Headers on their way through the balancer. Those of one hop end here, among them whatever `Connection` names.
 * Forwarding headers of a client are dropped unless the peer is a trusted proxy, so that what a clone reads there is
 * always what the balancer or a trusted proxy saw.
 *
 * Flat lists of names and values, as Node and undici take them: order and repeated names survive.
 */

import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import type { Target } from './target.ts'
import { plainAddress, type Trust } from './trust.ts'

/** The request id a client may hand in: it ends up in logs. */
const requestIdPattern = /^[\w.:=+/@-]{1,128}$/

export interface ForwardedRequest {
  readonly headers: string[]
  readonly requestId: string
}

/** What a clone is sent. Content-Length and Transfer-Encoding are left out: whoever sends the body writes one of them. */
export function forwardRequestHeaders(request: IncomingMessage, target: Target, trust: Trust): ForwardedRequest {
  const { rawHeaders: raw } = request
  const named = connectionNames(request.headers.connection)
  const peer = plainAddress(request.socket.remoteAddress)
  const trusted = trust(peer)
  const headers: string[] = ['host', target.host]
  const seen: SeenHeaders = { for: [], forwarded: [] }
  for (let index = 0; index < raw.length; index += 2) {
    const original = raw[index] ?? ''
    const value = raw[index + 1] ?? ''
    const name = original.toLowerCase()
    if (requestHop.has(name) || named.has(name)) continue
    if (name === 'x-request-id') seen.requestId ??= value
    else if (!isForwarding(name)) headers.push(original, value)
    else if (trusted) keepTrusted(headers, seen, name, value)
  }
  const requestId =
    seen.requestId !== undefined && requestIdPattern.test(seen.requestId) ? seen.requestId : randomUUID()
  addForwarding(headers, seen, request, peer, target.host)
  headers.push('x-request-id', requestId)
  return { headers, requestId }
}

interface SeenHeaders {
  readonly for: string[]
  readonly forwarded: string[]
  protocol?: string
  host?: string
  requestId?: string
}

/** Underscores count as hyphens: some frameworks read `X_Forwarded_For` as the same header. */
function isForwarding(name: string): boolean {
  const plain = name.includes('_') ? name.replaceAll('_', '-') : name
  return (
    plain.startsWith('x-forwarded-') ||
    plain.startsWith('x-fourfold-') ||
    plain === 'forwarded' ||
    plain === 'x-real-ip'
  )
}

function keepTrusted(headers: string[], seen: SeenHeaders, name: string, value: string): void {
  if (name === 'x-forwarded-for') seen.for.push(value)
  else if (name === 'forwarded') seen.forwarded.push(value)
  else if (name === 'x-forwarded-proto') seen.protocol ??= value
  else if (name === 'x-forwarded-host') seen.host ??= value
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
    [...seen.for, peer].join(', '),
    'x-forwarded-proto',
    seen.protocol ?? protocol,
    'x-forwarded-host',
    seen.host ?? host,
    'forwarded',
    [...seen.forwarded, element].join(', '),
  )
}

export interface AnswerHeaders {
  readonly headers: string[]
  /** Whether the answer is an event stream: it may last for hours and send nothing for minutes. */
  readonly eventStream: boolean
  readonly hasLength: boolean
}

/** What a client is sent of a clone's headers. */
export function forwardAnswerHeaders(raw: readonly (Buffer | string)[], status: number): AnswerHeaders {
  const pairs = raw.map((part) => (typeof part === 'string' ? part : part.toString('latin1')))
  const names = pairs.map((part, index) => (index % 2 === 0 ? part.toLowerCase() : part))
  const named = new Set<string>()
  let coded = false
  for (let index = 0; index < names.length; index += 2) {
    if (names[index] === 'connection') for (const name of connectionNames(names[index + 1])) named.add(name)
    if (names[index] === 'transfer-encoding') coded = true
  }
  const headers: string[] = []
  let eventStream = false
  let hasLength = false
  for (let index = 0; index < names.length; index += 2) {
    const name = names[index] ?? ''
    const value = pairs[index + 1] ?? ''
    if (answerHop.has(name) || named.has(name)) continue
    if (name === 'content-length') {
      // Never both; and no length where no body may follow.
      if (coded || status === 204) continue
      hasLength = true
    }
    if (name === 'content-type' && value.toLowerCase().startsWith('text/event-stream')) eventStream = true
    headers.push(pairs[index] ?? '', value)
  }
  return { headers, eventStream, hasLength }
}

function connectionNames(value: string | undefined): ReadonlySet<string> {
  if (value === undefined || value === 'keep-alive' || value === 'close') return nothing
  return new Set(
    value
      .toLowerCase()
      .split(',')
      .map((name) => name.trim()),
  )
}

const nothing: ReadonlySet<string> = new Set()
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
const answerHop = new Set([...hop, 'proxy-authenticate', 'x-fourfold-clone'])
