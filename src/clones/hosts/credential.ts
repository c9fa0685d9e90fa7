/**
 * What a request between hosts carries: a text that only a balancer with the app's secrets can make, and that only one
 * incarnation of one clone accepts. So nobody else's request reaches an app past its balancer, and no request reaches a
 * process that happens to listen where an admitted clone was.
 *
 * It travels in the clear: it keeps out whoever can connect, not whoever can read the network.
 */

import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** To a clone: the credential. Never seen by the app. */
export const credentialHeader = 'x-fourfold-to'
/** From a clone: the request was not carried out, and why. With {@link refusedStatus}. */
export const refusedHeader = 'x-fourfold-refused'
/** "Misdirected": this server will not answer it, another one may (RFC 9110, 15.5.20). */
export const refusedStatus = 421

/** One key for each of the app's secrets: the first makes credentials, all of them are accepted. */
export function credentialKeys(secrets: readonly string[]): string[] {
  return secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, '', 'fourfold clone', 32)).toString('hex'))
}

/** What requests to this incarnation carry. */
export function credentialFor(keys: readonly string[], id: string): string {
  return signature(keys[0] ?? '', id).toString('base64url')
}

/** Whether one of the keys made this credential for this incarnation. */
export function isCredential(keys: readonly string[], id: string, given: string | undefined): boolean {
  if (given === undefined) return false
  const bytes = Buffer.from(given, 'base64url')
  return keys.some((key) => {
    const expected = signature(key, id)
    return expected.length === bytes.length && timingSafeEqual(expected, bytes)
  })
}

function signature(key: string, id: string): Buffer {
  return createHmac('sha256', Buffer.from(key, 'hex')).update(id).digest()
}
