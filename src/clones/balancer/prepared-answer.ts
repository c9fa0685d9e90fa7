/**
 * Writes answers that are written again and again. What Node does for each header of each answer is done once, and head
 * and body leave as one text: half of what a small answer costs otherwise.
 *
 * Node has no public way to be handed a whole head. It keeps the one that it makes in a field of the response, as it has
 * since its beginnings; what is put there instead is tried out when this module is loaded, and if this Node writes
 * anything else for it, answers go the ordinary way.
 */

import { IncomingMessage, ServerResponse, STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http'
import { Socket } from 'node:net'

import type { PlainAnswer } from './page-answerer.ts'

type Prepared = ServerResponse & { _header: string | null }

/** Larger bodies are not copied into a text. */
const inlineBytes = 16 * 1024

export class AnswerWriter {
  readonly #keepAlive: string
  /** The lines that are of now, and until when, by the clock. */
  #ending = ''
  #endingUntilMs = 0

  /** @param idleMs how long a connection is kept between requests */
  constructor(idleMs: number) {
    this.#keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(idleMs / 1000)}\r\n\r\n`
  }

  write(response: ServerResponse, answer: PlainAnswer): void {
    const { status, headers, body } = answer
    if (!works || !response.shouldKeepAlive) {
      response.writeHead(status, headers)
      return void (body === null ? response.end() : response.end(body))
    }
    answer.lines ??= linesOf(status, headers)
    response.statusCode = status
    ;(response as Prepared)._header = answer.lines + this.#endingNow()
    if (body === null) response.end()
    else if (body.length <= inlineBytes) response.end(body.toString('latin1'), 'latin1')
    else response.end(body)
  }

  #endingNow(): string {
    const nowMs = Date.now()
    if (nowMs >= this.#endingUntilMs) {
      this.#ending = `Date: ${new Date(nowMs).toUTCString()}\r\n${this.#keepAlive}`
      this.#endingUntilMs = nowMs - (nowMs % 1000) + 1000
    }
    return this.#ending
  }
}

/** @throws what Node throws for a header that cannot be written */
function linesOf(status: number, headers: readonly string[]): string {
  let lines = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'unknown'}\r\n`
  for (let at = 0; at < headers.length; at += 2) {
    const [name = '', value = ''] = [headers[at], headers[at + 1]]
    validateHeaderName(name)
    validateHeaderValue(name, value)
    lines += `${name}: ${value}\r\n`
  }
  return lines
}

/** Whether this Node writes what it finds in the field, with and without a body, and nothing else. */
function tryOut(): boolean {
  const lines = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n'
  return written('GET', lines, 'abc') === `${lines}abc` && written('HEAD', lines) === lines
}

function written(method: string, lines: string, body?: string): string | null {
  try {
    const socket = new Socket()
    let text = ''
    socket._writev = null as never
    socket._write = (chunk: Buffer | string, encoding, done): void => {
      text += typeof chunk === 'string' ? Buffer.from(chunk, encoding).toString('latin1') : chunk.toString('latin1')
      done()
    }
    const request = new IncomingMessage(socket)
    request.method = method
    request.httpVersionMajor = 1
    request.httpVersionMinor = 1
    const response = new ServerResponse(request) as Prepared
    response.assignSocket(socket)
    if (response._header !== null) return null
    response._header = lines
    if (body === undefined) response.end()
    else response.end(body, 'latin1')
    const whole = response.headersSent && !response.chunkedEncoding && response.writableEnded
    response.detachSocket(socket)
    socket.destroy()
    return whole ? text : null
  } catch {
    return null
  }
}

const works = tryOut()
