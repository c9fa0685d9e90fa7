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

/** The headers that say where a request goes and where it ends: how many there were, and the last value of each. */
export interface FramingHeaders {
  hosts: number
  host?: string
  lengths: number
  length?: string
  codings: number
  coding?: string
}

/** @throws FF_BALANCER_BAD_REQUEST */
export function readTarget(request: IncomingMessage, headers: FramingHeaders): Target {
  const { httpVersion } = request
  if (httpVersion !== '1.1' && httpVersion !== '1.0') throw refuse(`HTTP/${httpVersion} is not for this server`)
  const { path, authority } = splitTarget(request.url ?? '')
  if (!isPath(path)) throw refuse('the target of the request has characters that must be percent-encoded')
  const ofHeader = readHost(request, headers)
  const host = authority ?? ofHeader
  if (!isHost(host) || (host !== ofHeader && !isHost(ofHeader))) throw refuse('the Host header is not a host name')
  return { path, host, bodyLength: readLength(request, headers) }
}

function splitTarget(url: string): { path: string; authority?: string } {
  if (url.startsWith('/')) return { path: url }
  const absolute = absolutePattern.exec(url)
  if (absolute === null) throw refuse('the target of the request is neither a path nor an http URL')
  const rest = absolute[2] ?? ''
  const authority = absolute[1] ?? ''
  if (authority === '' || authority.startsWith(':')) throw refuse('the target of the request names no host')
  // The authority of an absolute target wins over the Host header (RFC 9112, 3.2.2).
  return { path: rest.startsWith('/') ? rest : `/${rest}`, authority }
}

function readHost(request: IncomingMessage, { hosts, host }: FramingHeaders): string {
  if (hosts > 1) throw refuse('the request has more than one Host header')
  if (host === undefined && request.httpVersion !== '1.0') throw refuse('the request has no Host header')
  return host ?? ''
}

function readLength(request: IncomingMessage, { lengths, length, codings, coding }: FramingHeaders): number | null {
  if (lengths + codings > 1) throw refuse('the length of the body is given more than once')
  if (coding !== undefined) {
    if (coding.trim().toLowerCase() !== 'chunked') throw refuse('the only transfer coding that is taken is "chunked"')
    if (request.httpVersion === '1.0') throw refuse('HTTP/1.0 knows no transfer coding')
    return null
  }
  if (length === undefined) return 0
  if (!/^\d{1,15}$/.test(length)) throw refuse('the Content-Length is not a number')
  return Number(length)
}

/** Whether it is a path, and a query maybe, that all servers read in the same way. */
export function isPath(path: string): boolean {
  return pathPattern.test(path)
}

export function isHost(host: string): boolean {
  const port = hostPattern.exec(host)?.[1]
  return port === undefined ? hostPattern.test(host) : Number(port) <= mostPort
}

function refuse(message: string): FourfoldError {
  return new FourfoldError('FF_BALANCER_BAD_REQUEST', message)
}

const absolutePattern = /^https?:\/\/([^/?#]*)([^#]*)$/i
/**
 * A path has neither blanks nor controls in it, nor a fragment: some servers would cut it there. A backslash would be
 * a slash to others; behind the question mark it is a character like others, which browsers send.
 */
const pathPattern = /^\/[\x21\x22\x24-\x3e\x40-\x5b\x5d-\x7e\x80-\xff]*(?:\?[\x21\x22\x24-\x7e\x80-\xff]*)?$/
/** A name, an IPv4 address or an IPv6 literal, and a port; empty is allowed by HTTP/1.1 for targets without one. */
const hostPattern = /^(?:\[[\da-fA-F:.]+\]|[\w.~!$&'()*+;=%-]*)(?::(\d{0,5}))?$/
const mostPort = 65_535
