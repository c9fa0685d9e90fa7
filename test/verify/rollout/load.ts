/**
 * Readers that ask and write without pause, each on its own way: a connection that is kept or a new one for each
 * request, known by a cookie, a token or only its address. Every request is recorded with what came back.
 */

import { randomUUID } from 'node:crypto'
import { Agent, request as send, type IncomingMessage } from 'node:http'

export interface Sent {
  readonly reader: number
  readonly method: 'GET' | 'POST'
  /** Of a POST. */
  readonly id?: string
  readonly begunMs: number
  readonly endedMs: number
  /** Null: no head came. */
  readonly status: number | null
  /** The build that the body names; null: no whole answer. */
  readonly build: number | null
  /** What went wrong, where there is no whole answer. */
  readonly error?: string
}

type Way = 'kept' | 'new'
type Known = 'cookie' | 'token' | 'address'

const pauseMs = 12

export class Load {
  readonly sent: Sent[] = []
  readonly #url: URL
  readonly #agents: Agent[] = []
  #over = false
  #running: Promise<unknown> | null = null

  constructor(url: string) {
    this.#url = new URL(url)
  }

  start(readers: number): void {
    const ways: Way[] = ['kept', 'new']
    const knowns: Known[] = ['cookie', 'token', 'address']
    this.#running = Promise.all(
      Array.from({ length: readers }, (_, index) =>
        this.#live(index, ways[index % 2] ?? 'kept', knowns[Math.floor(index / 2) % 3] ?? 'token'),
      ),
    )
  }

  async stop(): Promise<void> {
    this.#over = true
    await this.#running
    for (const agent of this.#agents) agent.destroy()
  }

  async #live(reader: number, way: Way, known: Known): Promise<void> {
    const agent = new Agent({ keepAlive: way === 'kept', maxSockets: 1 })
    this.#agents.push(agent)
    const cookies = new Map<string, string>()
    for (let count = 0; !this.#over; count += 1) {
      const method = count % 3 === 2 ? 'POST' : 'GET'
      const id = method === 'POST' ? randomUUID() : undefined
      const path = id === undefined ? '/read' : `/write?id=${id}${known === 'cookie' ? '&session' : ''}`
      const headers = headersOf(reader, known, cookies)
      // Every address of 127/8 is this machine's on Linux.
      const localAddress = known === 'address' ? `127.0.1.${reader + 1}` : undefined
      const begunMs = performance.now()
      const got = await ask(
        this.#url,
        { method, path, headers, agent, localAddress },
        known === 'cookie' ? cookies : null,
      )
      this.sent.push({ reader, method, id, begunMs, endedMs: performance.now(), ...got })
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 2 * pauseMs))
    }
  }
}

function headersOf(reader: number, known: Known, cookies: ReadonlyMap<string, string>): Record<string, string> {
  if (known === 'token') return { authorization: `Bearer reader-${reader}` }
  if (known === 'address' || cookies.size === 0) return {}
  return { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
}

interface Question {
  readonly method: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly agent: Agent
  readonly localAddress: string | undefined
}

const answersWithinMs = 20_000

function ask(
  url: URL,
  question: Question,
  cookies: Map<string, string> | null,
): Promise<Pick<Sent, 'status' | 'build' | 'error'>> {
  return new Promise((resolve) => {
    const asking = send({ host: url.hostname, port: url.port, timeout: answersWithinMs, ...question }, (response) => {
      let text = ''
      const status = response.statusCode ?? null
      if (cookies !== null) keepCookies(response, cookies)
      response.on('data', (chunk: Buffer) => (text += chunk.toString()))
      response.once('error', (error) => resolve({ status, build: null, error: `answer broken off: ${error.message}` }))
      response.once('end', () => resolve(read(status, text)))
    })
    asking.once('timeout', () => asking.destroy(new Error('no answer in time')))
    asking.once('error', (error: Error & { code?: string }) =>
      resolve({ status: null, build: null, error: error.code ?? error.message }),
    )
    asking.end()
  })
}

function read(status: number | null, text: string): Pick<Sent, 'status' | 'build' | 'error'> {
  try {
    const { build } = JSON.parse(text) as { build?: number }
    return { status, build: build ?? null, ...(build === undefined ? { error: text.trim().slice(0, 200) } : {}) }
  } catch {
    return { status, build: null, error: `answer is not whole: ${text.slice(0, 80)}` }
  }
}

function keepCookies(response: IncomingMessage, cookies: Map<string, string>): void {
  for (const line of response.headers['set-cookie'] ?? []) {
    const [, name, value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    if (name !== undefined) cookies.set(name, value)
  }
}
