/**
 * The head of a request as it is written to a clone, and the frames of a body in chunks (RFC 9112).
 *
 * Names and values come from Node's parser or were checked before (headers.ts, target.ts); they are checked once more
 * here, in one go, because a line break that slipped through would be a request of its own.
 */

import { Readable } from 'node:stream'
import { FourfoldError } from '../../../core/errors.ts'
import type { UpstreamRequest } from './client.ts'

/** @throws FF_BALANCER_BAD_REQUEST if one of its lines would be read as two */
export function writeRequestHead({ method, path, headers, body, length }: UpstreamRequest): string {
  let head = `${method} ${path} HTTP/1.1\r\n`
  for (let index = 0; index < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`
  const lines = headers.length / 2 + 1
  if (countOf(head, '\n') !== lines || countOf(head, '\r') !== lines || head.includes('\0')) {
    throw new FourfoldError('FF_BALANCER_BAD_REQUEST', 'a header of the request has a line break in it')
  }
  return `${head}${framing(method, body, length)}\r\n`
}

function framing(method: string, body: UpstreamRequest['body'], length: number | null): string {
  if (body === null) return expectsBody.has(method) ? 'content-length: 0\r\n' : ''
  if (!(body instanceof Readable)) return `content-length: ${body.length}\r\n`
  return length === null ? 'transfer-encoding: chunked\r\n' : `content-length: ${length}\r\n`
}

/** Methods for which "nothing" is said and not left out (RFC 9110, 8.6). */
const expectsBody = new Set(['POST', 'PUT', 'PATCH'])

function countOf(text: string, character: string): number {
  let count = 0
  for (let at = text.indexOf(character); at !== -1; at = text.indexOf(character, at + 1)) count += 1
  return count
}

export const chunkEnd = '\r\n'

export function chunkHead(bytes: number): string {
  return `${bytes.toString(16)}\r\n`
}

export function lastChunk(trailers: readonly string[]): string {
  let text = '0\r\n'
  for (let index = 0; index < trailers.length; index += 2) text += `${trailers[index]}: ${trailers[index + 1]}\r\n`
  return `${text}\r\n`
}
