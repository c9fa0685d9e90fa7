/** Sends one request to one clone, as the balancer would. Whatever goes wrong is an answer too. */

import { request as startRequest } from 'node:http'

import type { Answer } from './answer.ts'

export interface Sending {
  readonly host: string
  readonly port: number
  readonly method: string
  readonly path: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Uint8Array | null
  /** How long the whole answer may take. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** So much of an answer is kept and compared. */
const maxBodyBytes = 64 * 1024 * 1024

/** Rejects only where the signal says so. */
export async function send(sending: Sending): Promise<Answer> {
  const { timeoutMs, signal } = sending
  const deadline = AbortSignal.timeout(timeoutMs)
  try {
    return await exchange(sending, AbortSignal.any([signal, deadline]))
  } catch (error) {
    signal.throwIfAborted()
    const why = deadline.aborted ? `no whole answer within ${timeoutMs / 1000} s` : (error as Error).message
    return { status: 0, headers: [], body: Buffer.alloc(0), failure: why }
  }
}

function exchange({ host, port, method, path, headers, body }: Sending, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // As browsers do: a POST without a body says so, or servers take it for one whose body is still to come.
    const says = body !== null || /^(?:POST|PUT|PATCH)$/.test(method)
    const length: [string, string][] = says ? [['content-length', String(body?.byteLength ?? 0)]] : []
    const flat = [...headers, ...length].flat()
    const outgoing = startRequest({ host, port, method, path, headers: flat, agent: false, signal })
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > maxBodyBytes) outgoing.destroy(new Error(`the body is larger than ${maxBodyBytes} bytes`))
        else chunks.push(chunk)
      })
      response.on('end', () => {
        const named = pairs(response.rawHeaders)
        resolve({ status: response.statusCode ?? 0, headers: named, body: Buffer.concat(chunks), failure: null })
      })
    })
    outgoing.end(body ?? undefined)
  })
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, index) => [
    (raw[index * 2] ?? '').toLowerCase(),
    raw[index * 2 + 1] ?? '',
  ])
}
