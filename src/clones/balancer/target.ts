/**
 * Refuses what two HTTP parsers could read differently, before anything is forwarded. Node's parser has already refused
 * duplicate and conflicting lengths, bare line feeds and malformed chunks; this is the rest: the target, the host and
 * the transfer coding (RFC 9112, sections 3.2 and 6).
 */

import type { IncomingMessage } from 'node:http'
import { FourfoldError } from '../../core/errors.ts'

export interface Target {
  /** Path and query in origin form, as the client wrote them. */
  readonly path: string
  readonly host: string
  /** The declared length of the body, or null if it is sent in chunks; 0 if there is none. */
  readonly bodyLength: number | null
}

/** @throws FF_BALANCER_BAD_REQUEST */
export function readTarget(request: IncomingMessage): Target {
  const headers = collect(request.rawHeaders)
  const { path, authority } = splitTarget(request.url ?? '')
  const host = authority ?? readHost(request, headers.host)
  if (!hostPattern.test(host)) throw refuse('the Host header is not a host name')
  return { path, host, bodyLength: readLength(request, headers) }
}

interface FramingHeaders {
  readonly host: string[]
  readonly length: string[]
  readonly coding: string[]
}

function collect(raw: readonly string[]): FramingHeaders {
  const found: FramingHeaders = { host: [], length: [], coding: [] }
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase()
    const value = raw[index + 1] ?? ''
    if (name === 'host') found.host.push(value)
    else if (name === 'content-length') found.length.push(value)
    else if (name === 'transfer-encoding') found.coding.push(value)
  }
  return found
}

function splitTarget(url: string): { path: string; authority?: string } {
  if (url.startsWith('/')) return { path: url }
  const absolute = absolutePattern.exec(url)
  if (absolute === null) throw refuse('the target of the request is neither a path nor an http URL')
  const rest = absolute[2] ?? ''
  // The authority of an absolute target wins over the Host header (RFC 9112, 3.2.2).
  return { path: rest.startsWith('/') ? rest : `/${rest}`, authority: absolute[1] ?? '' }
}

function readHost(request: IncomingMessage, values: readonly string[]): string {
  if (values.length > 1) throw refuse('the request has more than one Host header')
  if (values[0] === undefined && request.httpVersion !== '1.0') throw refuse('the request has no Host header')
  return values[0] ?? ''
}

function readLength(request: IncomingMessage, { length, coding }: FramingHeaders): number | null {
  if (length.length + coding.length > 1) throw refuse('the length of the body is given more than once')
  if (coding[0] !== undefined) {
    if (coding[0].trim().toLowerCase() !== 'chunked')
      throw refuse('the only transfer coding that is taken is "chunked"')
    if (request.httpVersion === '1.0') throw refuse('HTTP/1.0 knows no transfer coding')
    return null
  }
  if (length[0] === undefined) return 0
  if (!/^\d{1,15}$/.test(length[0])) throw refuse('the Content-Length is not a number')
  return Number(length[0])
}

function refuse(message: string): FourfoldError {
  return new FourfoldError('FF_BALANCER_BAD_REQUEST', message)
}

const absolutePattern = /^https?:\/\/([^/?#]*)([^#]*)$/i
/** What a host, an IPv6 literal and a port are made of; empty is allowed by HTTP/1.1 for targets without one. */
const hostPattern = /^[\w.~!$&'()*+,;=%:[\]-]*$/
