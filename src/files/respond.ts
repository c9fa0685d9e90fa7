/** Answers in the web's own terms, for frameworks that speak Request and Response. */

import { Readable } from 'node:stream'
import { answerFile } from './answer.ts'
import type { AnswerOptions, Files } from './files.ts'

export async function respondFile(
  files: Pick<Files, 'head' | 'get'>,
  request: Request,
  name: string,
  options: AnswerOptions,
): Promise<Response> {
  const { method, headers, signal } = request
  const asked = { method, headers: Object.fromEntries(headers) }
  const answer = await answerFile(files, asked, name, { signal, ...options })
  const body = answer.body === null ? null : (Readable.toWeb(answer.body) as ReadableStream<Uint8Array>)
  return new Response(body, { status: answer.status, headers: answer.headers })
}
