/** Requests for pages one at a time, and the wait until the balancer answers them. */

import { request as send } from 'node:http'

export const readyMs = 20_000

export interface Answer {
  readonly headers: Readonly<Record<string, unknown>>
  readonly cookies: readonly string[]
  readonly body: Buffer
}

export function ask(port: number, method: string, path: string, lines: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = Object.fromEntries(lines.map((line) => line.split(': ') as [string, string]))
    const request = send({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () =>
        resolve({
          headers: answer.headers,
          cookies: answer.headers['set-cookie'] ?? [],
          body: Buffer.concat(chunks),
        }),
      )
    })
    request.on('error', reject).end()
  })
}

/** A browser with a session that has written: its cookies. */
export async function signIn(port: number): Promise<string> {
  const { cookies } = await ask(port, 'POST', '/write/1', [])
  return cookies.map((cookie) => cookie.split(';')[0]).join('; ')
}

/** Asks until the balancer answers; the body with gzip. */
export async function baked(port: number, path: string, lines: readonly string[]): Promise<Buffer> {
  const deadline = performance.now() + readyMs
  while (performance.now() < deadline) {
    const { headers, body } = await ask(port, 'GET', path, ['Accept-Encoding: gzip', ...lines])
    if (String(headers['cache-status']).startsWith('fourfold-balancer')) return body
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`the balancer does not answer ${path} after ${readyMs} ms`)
}
