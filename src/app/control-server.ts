/**
 * How commands on this host speak to the system that runs: HTTP over a Unix socket in the data directory that only its
 * owner may open. Answers are lines of JSON, so that a long piece of work can say how it is going.
 */

import { chmod, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'

import { socketPathFor } from './socket-path.ts'
import { FourfoldError, isFourfoldError } from '../core/errors.ts'

/** What one command does: says what happens, and answers with the result. */
export type ControlHandler = (input: unknown, say: (text: string) => void) => unknown

/** One line of an answer. The last one is a result or an error. */
export type ControlLine =
  | { readonly type: 'progress'; readonly text: string }
  | { readonly type: 'result'; readonly result: unknown }
  | { readonly type: 'error'; readonly code: string; readonly message: string }

export interface ControlServer {
  readonly path: string
  close(): Promise<void>
}

const longestRequestBytes = 64 * 1024
const requestWithinMs = 5000

export async function startControlServer(
  dataDir: string,
  handlers: Readonly<Record<string, ControlHandler>>,
): Promise<ControlServer> {
  const { path, directory } = await socketPathFor(dataDir, 'control')
  // The data directory is ours: whoever listened there is gone.
  await rm(path, { force: true })
  const server = createServer(
    { requestTimeout: requestWithinMs, headersTimeout: requestWithinMs },
    (request, response) => {
      void answer(handlers, request, response)
    },
  )
  const listening = new Promise<void>((resolve, reject) => server.once('listening', resolve).once('error', reject))
  // The socket is made in this turn, and must never be open to others.
  const mask = process.umask(0o177)
  server.listen(path)
  process.umask(mask)
  await listening
  await chmod(path, 0o600)
  return {
    path,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
      if (directory !== null) await rm(directory, { recursive: true, force: true })
    },
  }
}

async function answer(
  handlers: Readonly<Record<string, ControlHandler>>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const write = (line: ControlLine): void => {
    // Whoever asked may have gone; the work goes on.
    if (!response.destroyed) response.write(`${JSON.stringify(line)}\n`)
  }
  response.on('error', () => undefined)
  try {
    const handler = handlers[(request.url ?? '').slice(1)]
    if (handler === undefined || request.method !== 'POST')
      throw new FourfoldError(
        'FF_APP_RUNNING',
        'the system that runs does not know this command: it is of another version',
      )
    const input: unknown = JSON.parse((await readText(request)) || 'null')
    const result = await handler(input, (text) => write({ type: 'progress', text }))
    write({ type: 'result', result: result ?? null })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    write({ type: 'error', code: isFourfoldError(error) ? error.code : 'UNKNOWN', message })
  }
  response.end()
}

async function readText(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > longestRequestBytes) throw new FourfoldError('FF_APP_RUNNING', 'the command is too long')
  }
  return text
}
