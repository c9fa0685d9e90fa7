/**
 * Which errors say that the connection or the server went away. The statement itself was then not at fault; what
 * became of it is unknown, so a read may run again elsewhere and a write may not.
 */

import { isReplicaRefusal } from './client.ts'

const connectionCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EAI_AGAIN',
  'ENOTFOUND',
  'EACCES',
])

/** Whether the connection is of no use any more after this error. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = (error as { code?: unknown }).code
  // Without a code it is pg's own: "Connection terminated", "Query read timeout".
  if (typeof code !== 'string') return true
  return connectionCodes.has(code) || /^(?:08|57P)/.test(code)
}

/** Whether a read that failed on a replica may be answered by the primary instead. */
export function isReplicaFault(error: unknown): boolean {
  return isConnectionLost(error) || isReplicaRefusal(error)
}
