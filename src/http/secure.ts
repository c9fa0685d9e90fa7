/**
 * Whether a browser came over TLS. A clone listens on the loopback address only, where the balancer reaches it, and
 * the balancer replaces what clients send as X-Forwarded-Proto; from any other address the header is not believed.
 */

import type { IncomingHttpHeaders } from 'node:http'

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
export function isFromBalancer({ socket }: RawRequest): boolean {
  return socket?.remoteAddress !== undefined && loopback.test(socket.remoteAddress)
}
