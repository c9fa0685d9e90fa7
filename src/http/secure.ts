/**
 * Whether a browser came over TLS. The balancer replaces what clients send as X-Forwarded-Proto. It is believed where
 * the balancer has proven itself, and from the loopback address, where a clone listens that other hosts do not reach;
 * from any other address the header is not believed.
 */

import type { IncomingHttpHeaders } from 'node:http'
import { isBalanced } from '../clones/balanced-request.ts'

/** What of a request says where it came from: an `IncomingMessage`, or what an adapter makes of another one. */
export interface RawRequest {
  readonly headers: IncomingHttpHeaders
  readonly socket?: { readonly remoteAddress?: string; readonly encrypted?: boolean }
}

const loopback = /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/

export function isSecure(request: RawRequest, setting: 'auto' | boolean): boolean {
  if (setting !== 'auto') return setting
  if (request.socket?.encrypted === true) return true
  return isFromBalancer(request) && request.headers['x-forwarded-proto'] === 'https'
}

/** Whether the balancer speaks, whose word about the client counts. */
export function isFromBalancer(request: RawRequest): boolean {
  if (isBalanced(request)) return true
  const address = request.socket?.remoteAddress
  return address !== undefined && loopback.test(address)
}
