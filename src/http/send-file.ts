/** Answers a request of `node:http`, or of Express, with a file of `ff.files`. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import type { AnswerOptions, Files } from '../files/files.ts'

/**
 * Answers a GET or HEAD for a file: conditions, ranges and safe headers as {@link Files.answer} has them. Resolves when
 * the answer is out, or when its client went away.
 *
 * @throws what reading the file throws: before the answer has begun, or after the connection was broken for it
 * @example
 * app.get('/files/:name', (req, res, next) => sendFile(req.ff.files, req, res, req.params.name).catch(next))
 */
export async function sendFile(
  files: Files,
  request: IncomingMessage,
  response: ServerResponse,
  name: string,
  options: AnswerOptions = {},
): Promise<void> {
  const { status, headers, body } = await files.answer(request, name, options)
  response.writeHead(status, headers)
  if (body === null) return void response.end()
  try {
    await pipeline(body, response)
  } catch (error) {
    // The client has seen enough, as players of films often have.
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error
  }
}
