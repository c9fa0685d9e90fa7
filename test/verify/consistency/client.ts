/** Sends requests as sessions that keep cookies as browsers do. */

import { Agent, request } from 'undici'

import { isIdentified, keepCookies } from '../sessions/traffic.ts'

import type { Level } from '../../../src/freshness/level.ts'

export interface Answer {
  readonly body: unknown
  /** As the balancer names it. */
  readonly clone: string
  readonly cacheStatus: string
}

const timeoutMs = 4_000

export class Client {
  readonly #url: string
  readonly #agent = new Agent({
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connectTimeout: 1_000,
    connections: 64,
  })
  readonly #cookies = new Map<string, Map<string, string>>()

  constructor(url: string) {
    this.#url = url
  }

  /** Rejects where the answer is not 200. */
  async send(path: 'read' | 'write', session: string, level: Level, body: unknown): Promise<Answer> {
    const jar = this.#jar(session)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await request(`${this.#url}/${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-level': level,
        ...(isIdentified(session) ? { 'x-reader': session } : {}),
        ...(cookie === '' ? {} : { cookie }),
      },
      body: JSON.stringify(body),
      dispatcher: this.#agent,
    })
    keepCookies(jar, answer.headers['set-cookie'] ?? [])
    const text = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${text.slice(0, 160)}`)
    const { headers } = answer
    const cacheStatus = String(headers['cache-status'] ?? '')
    return { body: JSON.parse(text), clone: String(headers['x-fourfold-clone'] ?? ''), cacheStatus }
  }

  #jar(session: string): Map<string, string> {
    let jar = this.#cookies.get(session)
    if (jar === undefined) this.#cookies.set(session, (jar = new Map()))
    return jar
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }
}
