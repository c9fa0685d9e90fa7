/**
 * Which errors say that the connection or the server went away. The statement itself was then not at fault; what
 * became of it is unknown, so a read may run again elsewhere and a write may not.
 */

import { FourfoldError, isFourfoldError } from '../../core/errors.ts'
import { isReplicaRefusal, sqlState } from './client.ts'

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
  // The server hangs, and what was sent may still be under way.
  'FF_CORE_DEADLINE',
  'FF_DATABASE_CONNECTION_LOST',
])

/** pg's own errors about its connection; they have no code. Others without one blame the statement's values. */
const connectionMessages =
  /^(?:connection terminated|query read timeout|timeout expired|timeout exceeded|client has encountered|client was closed)/i

/** Whether the connection is of no use any more after this error. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = (error as { code?: unknown }).code
  if (typeof code !== 'string') return connectionMessages.test(error.message)
  return connectionCodes.has(code) || (/^(?:08|57P)/.test(code) && !isAboutStatement(error))
}

/**
 * The server says the same of parameters that do not fit a statement, and of a foreign server that it cannot reach; and
 * goes on. Severities are written in its language, the names of its functions are not.
 */
function isAboutStatement(error: Error): boolean {
  const { severity, routine } = error as { severity?: unknown; routine?: unknown }
  return severity === 'ERROR' || routine === 'exec_bind_message'
}

/** Whether the connection broke, as against a server that does not answer: asking anew may help, at once. */
export function isConnectionCut(error: unknown): boolean {
  if (!(error instanceof Error) || !isConnectionLost(error)) return false
  const cause = isFourfoldError(error, 'FF_DATABASE_CONNECTION_LOST') ? error.cause : error
  return !(cause instanceof Error) || !/time(?:d )?out|waited/i.test(cause.message)
}

/** What a statement fails with when its connection is lost. Nobody knows whether it took place. */
export function connectionLost(cause: unknown): FourfoldError {
  const message = `The connection to the database was lost before it answered (${String(cause)}); whether the statement took place is unknown: look before you send it again`
  return new FourfoldError('FF_DATABASE_CONNECTION_LOST', message, { cause })
}

/** Whether the connection may serve another statement: the server answered, with an error about this one. */
export function isReusable(error: unknown): boolean {
  return sqlState(error) !== null && !isConnectionLost(error)
}

/** Whether a read that failed on a replica may be answered by the primary instead. */
export function isReplicaFault(error: unknown): boolean {
  return isConnectionLost(error) || isReplicaRefusal(error)
}
