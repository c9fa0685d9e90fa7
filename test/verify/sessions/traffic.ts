/**
 * Readers and writers: sessions of two tabs each, every request to a clone chosen at random. A session keeps cookies
 * as a browser does. Each operation goes into the history when it has returned.
 */

import { Agent, request } from 'undici'

import type { Level } from '../../../src/freshness/level.ts'
import type { History } from './history.ts'
import type { SystemHandle } from './system-handle.ts'

export interface TrafficOptions {
  readonly system: SystemHandle
  readonly history: History
  readonly level: Level
  /** Begins the names of its sessions. */
  readonly name: string
  readonly sessions: number
  readonly keys: readonly string[]
  readonly writeShare: number
  /** Only statements on their own, no transactions. */
  readonly autocommitOnly?: boolean
  readonly now: () => number
}

const tabsPerSession = 2
const timeoutMs = 4_000
const longestPauseMs = 25

export class Traffic {
  readonly #options: TrafficOptions
  readonly #agent = new Agent({
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connectTimeout: 1_000,
    connections: 16,
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
    this.#running = Promise.all(
      names.flatMap((session) => Array.from({ length: tabsPerSession }, () => this.#browse(session))),
    )
  }

  async stop(): Promise<void> {
    this.#over = true
    await this.#running
    await this.#agent.destroy()
  }

  /** One operation now, as this session; answers whether it succeeded. */
  async once(
    session: string,
    operation: 'read' | 'write',
    key: string,
    options: { level?: Level; url?: string } = {},
  ): Promise<boolean> {
    const { system, history, now } = this.#options
    const level = options.level ?? this.#options.level
    const clone = system.clones.find(({ url }) => url === options.url) ?? pick(system.clones)
    if (clone === undefined) {
      await pause(20)
      return false
    }
    const path =
      operation === 'read' ? 'read' : this.#options.autocommitOnly || Math.random() < 0.5 ? 'write' : 'transact'
    const invoked = now()
    const base = { session, level, operation, key, invoked, clone: clone.name, tier: 'database' } as const
    try {
      const { value, server } = await this.#send(`${clone.url}/${path}/${key}`, operation, session, level)
      history.add({ ...base, value, server, returned: now() })
      return true
    } catch (error) {
      history.add({ ...base, value: null, server: '', returned: now(), note: (error as Error).message })
      return false
    }
  }

  async #browse(session: string): Promise<void> {
    const { keys, writeShare } = this.#options
    let last = pick(keys) ?? ''
    while (!this.#over) {
      const write = Math.random() < writeShare
      // Half of the reads look at what this tab wrote or read last, soon after.
      const key = !write && Math.random() < 0.5 ? last : (pick(keys) ?? '')
      if (!(await this.once(session, write ? 'write' : 'read', key))) await pause(30)
      last = key
      if (!write || Math.random() < 0.5) await pause(Math.random() * longestPauseMs)
    }
  }

  async #send(
    url: string,
    operation: 'read' | 'write',
    session: string,
    level: Level,
  ): Promise<{ value: number; server: string }> {
    const jar = this.#jar(session)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await request(url, {
      method: operation === 'read' ? 'GET' : 'POST',
      headers: { 'x-reader': session, 'x-level': level, ...(cookie === '' ? {} : { cookie }) },
      dispatcher: this.#agent,
    })
    const set = answer.headers['set-cookie'] ?? []
    for (const line of Array.isArray(set) ? set : [set]) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (name !== undefined) jar.set(name, value ?? '')
    }
    const body = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${body.slice(0, 120)}`)
    return JSON.parse(body) as { value: number; server: string }
  }

  #jar(session: string): Map<string, string> {
    let jar = this.#cookies.get(session)
    if (jar === undefined) this.#cookies.set(session, (jar = new Map()))
    return jar
  }
}

export function pick<Item>(items: readonly Item[]): Item | undefined {
  return items[Math.floor(Math.random() * items.length)]
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
