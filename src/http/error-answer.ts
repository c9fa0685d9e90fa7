/** The answer for a request that failed where no framework writes one: JSON, or HTML for who asks for it. */

import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import { isFourfoldError } from '../core/errors.ts'

/** Answers an error, or cuts the connection where an answer has begun: a cut answer is no complete answer. */
export function answerError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy()
  const status = statusOf(error)
  const title = STATUS_CODES[status] ?? 'Error'
  const code = isFourfoldError(error) ? error.code : undefined
  const html = (request.headers.accept ?? '').includes('text/html')
  const body = html
    ? errorPage(status, title)
    : JSON.stringify({ statusCode: status, code, error: title, message: messageOf(error, title) })
  for (const name of ['content-length', 'content-encoding', 'transfer-encoding', 'etag', 'cache-control'])
    response.removeHeader(name)
  if (isFourfoldError(error) && error.retryable && !response.hasHeader('retry-after'))
    response.setHeader('retry-after', '1')
  response.statusCode = status
  response.setHeader('content-type', html ? 'text/html; charset=utf-8' : 'application/json; charset=utf-8')
  response.setHeader('cache-control', 'no-store')
  response.end(body)
}

function statusOf(error: unknown): number {
  const status = (error as { statusCode?: unknown } | null)?.statusCode
  return typeof status === 'number' && status >= 400 && status <= 599 ? status : 500
}

/** What went wrong inside is for the log; a client is told what it can act on. */
function messageOf(error: unknown, title: string): string {
  return error instanceof Error && (isFourfoldError(error) || statusOf(error) < 500) ? error.message : title
}

function errorPage(status: number, title: string): string {
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${status} ${title}</h1></html>\n`
}
