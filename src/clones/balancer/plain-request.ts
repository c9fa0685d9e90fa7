/**
 * Requests that may be answered here. One look at each header, for this comes before everything else that a request
 * costs: what is in any way out of the ordinary is not plain, and goes the long way, where it is forwarded or refused.
 */

import type { IncomingMessage } from 'node:http'

import { isHost, isPath } from './target.ts'

import type { PlainRequest } from './page-answerer.ts'

class Plain implements PlainRequest {
  readonly target: string
  readonly head: boolean
  cookie: string | undefined = undefined
  reader: string | undefined = undefined
  acceptEncoding: string | undefined = undefined
  ifNoneMatch: string | undefined = undefined
  ifModifiedSince: string | undefined = undefined

  constructor(target: string, head: boolean) {
    this.target = target
    this.head = head
  }
}

/** Of the balancer itself. */
const ownPaths = '/.fourfold/'
const slash = 47

/**
 * @param credentials names of fields in small letters: who carries one is not answered here
 * @returns null where it is not plain
 */
export function readPlainRequest(request: IncomingMessage, credentials: ReadonlySet<string>): PlainRequest | null {
  const { method, url = '', rawHeaders: raw } = request
  if (method !== 'GET' && method !== 'HEAD') return null
  if (request.httpVersionMinor !== 1 || request.httpVersionMajor !== 1) return null
  if (url.charCodeAt(0) !== slash || !isPath(url) || url.startsWith(ownPaths)) return null
  const plain = new Plain(url, method === 'HEAD')
  let hosts = 0
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!
    if (name.length === 4 && name.toLowerCase() === 'host') {
      hosts += 1
      if (!isHost(raw[at + 1]!)) return null
    } else if (!take(plain, name, raw[at + 1]!)) return null
    else if (credentials.size > 0 && credentials.has(name.toLowerCase())) return null
  }
  return hosts === 1 ? plain : null
}

/** By their length first: most fields mean nothing here. False: the request is not plain. */
function take(plain: Plain, name: string, value: string): boolean {
  switch (name.length) {
    case 2:
      return name.toLowerCase() !== 'te'
    case 6:
      return takeCookie(plain, name.toLowerCase(), value)
    case 7:
      return !ofLength7.has(name.toLowerCase())
    case 8:
      return name.toLowerCase() !== 'if-match'
    case 10:
      return name.toLowerCase() !== 'connection' || keeps.has(value)
    case 13:
      return takeCondition(plain, name.toLowerCase(), value)
    case 14:
      return name.toLowerCase() !== 'content-length'
    case 15:
      return takeOnce(plain, name.toLowerCase(), value)
    case 17:
      return takeSince(plain, name.toLowerCase(), value)
    case 19:
      return !ofLength19.has(name.toLowerCase())
    default:
      return true
  }
}

/** The second is a condition that only clones weigh, as `If-Match` is: hardly anybody asks for a page with it. */
const ofLength19 = new Set(['proxy-authorization', 'if-unmodified-since'])
const ofLength7 = new Set(['upgrade', 'trailer'])
const keeps = new Set(['keep-alive', 'close', 'Keep-Alive', 'Close'])

function takeCookie(plain: Plain, name: string, value: string): boolean {
  if (name === 'expect') return false
  if (name === 'cookie') plain.cookie = plain.cookie === undefined ? value : `${plain.cookie}; ${value}`
  return true
}

function takeCondition(plain: Plain, name: string, value: string): boolean {
  if (name === 'authorization') return false
  if (name === 'if-none-match') {
    plain.ifNoneMatch = plain.ifNoneMatch === undefined ? value : `${plain.ifNoneMatch}, ${value}`
  }
  return true
}

function takeOnce(plain: Plain, name: string, value: string): boolean {
  if (name === 'accept-encoding') {
    plain.acceptEncoding = plain.acceptEncoding === undefined ? value : `${plain.acceptEncoding}, ${value}`
  } else if (name === 'fourfold-reader') {
    if (plain.reader !== undefined) return false
    plain.reader = value
  }
  return true
}

function takeSince(plain: Plain, name: string, value: string): boolean {
  if (name === 'transfer-encoding') return false
  if (name === 'if-modified-since') {
    if (plain.ifModifiedSince !== undefined) return false
    plain.ifModifiedSince = value
  }
  return true
}
