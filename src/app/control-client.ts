/** The other end of the control socket: what a command asks of the system that runs on a data directory. */

import { request } from 'node:http'
import { createInterface } from 'node:readline'

import { socketPathFor } from './socket-path.ts'
import { FourfoldError, errorRegistry, type ErrorCode } from '../core/errors.ts'

import type { ControlLine } from './control-server.ts'

export interface AskOptions {
  readonly dataDir: string
  readonly command: string
  readonly input?: unknown
  readonly onProgress?: (text: string) => void
  /** How long the system may say nothing. */
  readonly silenceMs: number
}

/**
 * Asks, and resolves with the result.
 *
 * @throws FF_APP_RUNNING when no system can be reached, or it ends before it has answered; what the system throws
 */
export async function askSystem({ dataDir, command, input, onProgress, silenceMs }: AskOptions): Promise<unknown> {
  const { path } = await socketPathFor(dataDir, 'control')
  return await new Promise((resolve, reject) => {
    const fail = (what: string, cause?: unknown): void =>
      reject(new FourfoldError('FF_APP_RUNNING', what, { cause, fields: { dataDir } }))
    const asking = request(
      { socketPath: path, path: `/${command}`, method: 'POST', timeout: silenceMs },
      (response) => {
        const lines = createInterface({ input: response })
        lines.on('line', (text) => {
          const line = JSON.parse(text) as ControlLine
          if (line.type === 'progress') onProgress?.(line.text)
          else if (line.type === 'result') resolve(line.result)
          else reject(revive(line))
        })
        response.once('error', (error) => fail('the system ended before it had answered', error))
        lines.once('close', () => fail('the system ended before it had answered'))
      },
    )
    asking.once('timeout', () => asking.destroy(new Error(`nothing was said for ${silenceMs} ms`)))
    asking.once('error', (error) => fail(`no system answers on ${dataDir}: ${error.message}`, error))
    asking.end(JSON.stringify(input ?? null))
  })
}

function revive({ code, message }: Extract<ControlLine, { type: 'error' }>): Error {
  return code in errorRegistry ? new FourfoldError(code as ErrorCode, message) : new Error(message)
}
