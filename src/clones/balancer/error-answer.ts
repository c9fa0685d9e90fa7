/** The balancer's own answers: JSON, or a small page where the client would rather read HTML. */

import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import type { FourfoldError } from '../../core/errors.ts'

/**
 * Whether nothing more is read from the connection after this answer: what was refused may end elsewhere for another
 * reader, and a body that is not read to its end may never come (`Expect`).
 */
export function closesConnection(request: IncomingMessage, error: FourfoldError): boolean {
  return error.httpStatus < 500 || !request.complete
}

/** Answers a request with an error; if an answer has begun already, the connection is cut instead. */
export function answerError(
  request: IncomingMessage,
  response: ServerResponse,
  error: FourfoldError,
  requestId?: string,
): void {
  if (response.destroyed || response.writableEnded) return
  if (response.headersSent) return void response.destroy()
  const { contentType, body } = writeErrorBody(request, error)
  const headers: Record<string, string | number> = {
    'content-type': contentType,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  }
  if (requestId !== undefined) headers['x-request-id'] = requestId
  if (error.httpStatus === 503) headers['retry-after'] = 1
  if (closesConnection(request, error)) headers['connection'] = 'close'
  response.writeHead(error.httpStatus, headers)
  if (request.complete) return void response.end(request.method === 'HEAD' ? undefined : body)
  if (request.method !== 'HEAD') response.write(body)
  drainRest(request, () => response.end())
}

/** The same for a connection that has no response object: an upgrade, or bytes that were no request at all. */
export function writeErrorText(error: FourfoldError): string {
  const body = jsonBody(error)
  return [
    `HTTP/1.1 ${error.httpStatus} ${STATUS_CODES[error.httpStatus] ?? 'Error'}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    ...(error.httpStatus === 503 ? ['retry-after: 1'] : []),
    'connection: close',
    '',
    body,
  ].join('\r\n')
}

function writeErrorBody(request: IncomingMessage, error: FourfoldError): { contentType: string; body: string } {
  const accept = request.headers.accept ?? ''
  if (!accept.includes('text/html')) return { contentType: 'application/json; charset=utf-8', body: jsonBody(error) }
  const title = `${error.httpStatus} ${STATUS_CODES[error.httpStatus] ?? 'Error'}`
  const hint = error.retryable ? '<p>Please try again in a moment.</p>' : ''
  const body = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1><p>${escapeHtml(error.message)}</p>${hint}<p><code>${error.code}</code></p></html>\n`
  return { contentType: 'text/html; charset=utf-8', body }
}

function jsonBody(error: FourfoldError): string {
  return `${JSON.stringify({ error: { code: error.code, message: error.message } })}\n`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

/** How long a client may go on sending a body that was already answered. */
const lingerMs = 5000

/**
 * A client that is still sending when its answer goes out would get a reset, and lose the answer, if the connection were
 * closed at once: what it sends is thrown away for a moment first.
 */
export function drainRest(request: IncomingMessage, onEnd?: () => void): void {
  request.resume()
  const timer = setTimeout(() => request.socket.destroy(), lingerMs)
  timer.unref()
  const end = (): void => {
    clearTimeout(timer)
    onEnd?.()
  }
  request.once('close', end).once('end', end)
}
