/**
 * Readers and writers: sessions of two tabs each, every request sent to the balancer, which chooses the clone. A
 * session keeps cookies as a browser does. The app identifies every other one; the rest are known by their cookie
 * alone. Each operation goes into the history when it has returned.
 */

import { Agent, request } from 'undici'

import type { Level } from '../../../src/freshness/level.ts'
import type { History } from './history.ts'

export interface TrafficOptions {
  /** The balancer's address. */
  readonly url: string
  readonly history: History
  readonly level: Level
  /** Begins the names of its sessions. */
  readonly name: string
  readonly sessions: number
  readonly keys: readonly string[]
  readonly writeShare: number
  /** Whether writes are statements on their own or transactions. Default: either. */
  readonly writes?: 'alone' | 'transactions'
}

interface Answer {
  readonly value: number
  readonly server: string
  readonly clone: string
}

const tabsPerSession = 2
const timeoutMs = 4_000
const longestPauseMs = 25
/** After a failure a client waits a moment. */
const retryMs = 100

export class Traffic {
  readonly #options: TrafficOptions
  readonly #agent = new Agent({
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connectTimeout: 1_000,
    connections: 64,
  })
  readonly #cookies = new Map<string, Map<string, string>>()
  #running: Promise<unknown> | null = null
  #over = false

  constructor(options: TrafficOptions) {
    this.#options = options
  }

  start(): void {
    const { sessions, name } = this.#options
    const names = Array.from({ length: sessions }, (_, index) => `${name}-${index}`)
    this.#running = Promise.all(names.map((session) => this.#live(session)))
  }

  async stop(): Promise<void> {
    this.#over = true
    await this.#running
    await this.#agent.destroy()
  }

  /** One operation now, as this session; answers whether it succeeded. */
  async once(session: string, operation: 'read' | 'write', key: string): Promise<boolean> {
    const { history, level, writes = pick(['alone', 'transactions']) } = this.#options
    const way = operation === 'read' ? 'read' : writes === 'alone' ? 'write' : 'transact'
    const invoked = performance.now()
    const base = { session, level, operation, key, invoked, tier: 'database' } as const
    try {
      const answer = await this.#send(`${way}/${key}`, operation, session)
      history.add({ ...base, ...answer, returned: performance.now() })
      return true
    } catch (error) {
      const note = (error as Error).message
      history.add({ ...base, value: null, server: '', clone: '', returned: performance.now(), note })
      return false
    }
  }

  async #live(session: string): Promise<void> {
    // A reader who is known by a cookie gets it with the first write; two first writes at once would be two readers.
    while (!this.#over && !isIdentified(session)) {
      if (await this.once(session, 'write', pick(this.#options.keys) ?? '')) break
      await pause(retryMs)
    }
    await Promise.all(Array.from({ length: tabsPerSession }, () => this.#browse(session)))
  }

  async #browse(session: string): Promise<void> {
    const { keys, writeShare } = this.#options
    let last = pick(keys) ?? ''
    while (!this.#over) {
      const write = Math.random() < writeShare
      // Half of the reads look at what this tab wrote or read last, soon after.
      const key = !write && Math.random() < 0.5 ? last : (pick(keys) ?? '')
      if (!(await this.once(session, write ? 'write' : 'read', key))) await pause(retryMs)
      last = key
      if (!write || Math.random() < 0.5) await pause(Math.random() * longestPauseMs)
    }
  }

  async #send(path: string, operation: 'read' | 'write', session: string): Promise<Answer> {
    const { url, level } = this.#options
    const jar = this.#jar(session)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await request(`${url}/${path}`, {
      method: operation === 'read' ? 'GET' : 'POST',
      headers: {
        'x-level': level,
        ...(isIdentified(session) ? { 'x-reader': session } : {}),
        ...(cookie === '' ? {} : { cookie }),
      },
      dispatcher: this.#agent,
    })
    keepCookies(jar, answer.headers['set-cookie'] ?? [])
    const body = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${body.slice(0, 120)}`)
    const { value, server } = JSON.parse(body) as Omit<Answer, 'clone'>
    return { value, server, clone: String(answer.headers['x-fourfold-clone'] ?? '') }
  }

  #jar(session: string): Map<string, string> {
    let jar = this.#cookies.get(session)
    if (jar === undefined) this.#cookies.set(session, (jar = new Map()))
    return jar
  }
}

/** The app knows every other session by its name; the rest by their cookie alone. */
export function isIdentified(session: string): boolean {
  return !/[13579]$/.test(session)
}

/** As a browser does. */
export function keepCookies(jar: Map<string, string>, set: string | readonly string[]): void {
  for (const line of typeof set === 'string' ? [set] : set) {
    const [, name, value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    if (name === undefined) continue
    if (/;\s*max-age=0\b/i.test(line)) jar.delete(name)
    else jar.set(name, value)
  }
}

export function pick<Item>(items: readonly Item[]): Item | undefined {
  return items[Math.floor(Math.random() * items.length)]
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
