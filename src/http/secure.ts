/**
 * Whether a browser came over TLS. A clone listens on the loopback address only, where the balancer reaches it, and
 * the balancer replaces what clients send as X-Forwarded-Proto; from any other address the header is not believed.
 */

import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'

const loopback = /^(::1|(::ffff:)?127\.\d+\.\d+\.\d+)$/

export function isSecure(request: IncomingMessage, setting: 'auto' | boolean): boolean {
  if (setting !== 'auto') return setting
  if ((request.socket as Partial<TLSSocket> | undefined)?.encrypted === true) return true
  const address = request.socket?.remoteAddress
  return address !== undefined && loopback.test(address) && request.headers['x-forwarded-proto'] === 'https'
}
