/**
 * Readers of pages and writers of rows: sessions that keep cookies as browsers do and write now and then, readers whom
 * nobody knows, and a writer outside of the app. Each operation goes into the history when it has returned.
 */

import pg from 'pg'
import { Agent, request } from 'undici'

import { keepCookies, pick } from '../sessions/traffic.ts'
import { itemsIn } from './shown.ts'

import type { History, Item } from '../consistency/history.ts'
import type { PostgresAddress } from '../../../src/engines/postgres/address.ts'

export const keys: readonly string[] = Array.from({ length: 48 }, (_, at) => `k${at}`)
export const pagesOf = (key: string): readonly string[] => [`/c/${key}`, `/g/${Number(key.slice(1)) % 6}`, '/all']
export const allPages: readonly string[] = [
  ...keys.map((key) => `/c/${key}`),
  ...Array.from({ length: 6 }, (_, at) => `/g/${at}`),
  '/all',
]

export interface PageTrafficOptions {
  /** The balancer's address. */
  readonly url: string
  /** Of the primary. */
  readonly primary: PostgresAddress
  readonly history: History
  /** Begins the names of its sessions, and the ids of its writes. */
  readonly name: string
  readonly sessions: number
  readonly strangers: number
  /** Of what a session does. */
  readonly writeShare: number
  readonly outsideEveryMs: number
}

const timeoutMs = 4_000
const longestPauseMs = 10
const retryMs = 100

export class PageTraffic {
  readonly #options: PageTrafficOptions
  readonly #agent = new Agent({
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    connectTimeout: 1_000,
    connections: 32,
  })
  readonly #jars = new Map<string, Map<string, string>>()
  readonly counts = { reads: 0, failed: 0, fromBalancer: 0, writes: 0 }
  #running: Promise<unknown> | null = null
  #over = false
  #count = 0

  constructor(options: PageTrafficOptions) {
    this.#options = options
  }

  start(): void {
    const { sessions, strangers, name } = this.#options
    const known = Array.from({ length: sessions }, (_, at) => this.#live(`${name}-${at}`))
    const unknown = Array.from({ length: strangers }, (_, at) => this.#live(`${name}-stranger-${at}`, true))
    this.#running = Promise.all([...known, ...unknown, this.#writeOutside()])
  }

  /** Resolves when nothing is on its way any more. */
  async stop(): Promise<void> {
    this.#over = true
    await this.#running
  }

  async close(): Promise<void> {
    await this.stop()
    await this.#agent.destroy()
  }

  async #live(session: string, stranger = false): Promise<void> {
    while (!this.#over) {
      const key = pick(keys)!
      const writes = !stranger && Math.random() < this.#options.writeShare
      const done = writes ? await this.write(session, key) : await this.read(session, pick(allPages)!, stranger)
      // Who wrote looks at what shows it, at once.
      if (done && writes) for (const page of pagesOf(key)) await this.read(session, page)
      await pause(done ? Math.random() * longestPauseMs : retryMs)
    }
  }

  /** Answers whether the page came. A stranger has no cookies, and is promised no more than that pages are not old. */
  async read(session: string, page: string, stranger = false): Promise<boolean> {
    const invoked = performance.now()
    const level = stranger ? 'eventual' : 'session'
    const line = { operation: 'read', session, level, kind: page, invoked, snapshot: false, server: '' } as const
    const jar = stranger ? null : this.#jar(session)
    try {
      const answer = await request(this.#options.url + page, { headers: cookies(jar), dispatcher: this.#agent })
      if (jar !== null) keepCookies(jar, answer.headers['set-cookie'] ?? [])
      const html = await answer.body.text()
      if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${html.slice(0, 100)}`)
      const status = String(answer.headers['cache-status'] ?? '')
      const fromBalancer = status.startsWith('fourfold-balancer')
      this.counts.reads += 1
      if (fromBalancer) this.counts.fromBalancer += 1
      const tier = fromBalancer ? 'memory' : 'load'
      const clone = String(answer.headers['x-fourfold-clone'] ?? '')
      const items = itemsIn(html)
      if (items.length === 0) throw new Error(`a page without rows: ${html.slice(0, 100)}`)
      this.#options.history.add({ ...line, returned: performance.now(), items, tier, clone, note: status })
      return true
    } catch (error) {
      this.counts.failed += 1
      const note = (error as Error).message
      this.#options.history.add({ ...line, returned: performance.now(), items: null, tier: '', clone: '', note })
      return false
    }
  }

  async write(session: string, key: string): Promise<boolean> {
    const id = this.#begin(key)
    const jar = this.#jar(session)
    return await this.#end(session, id, async () => {
      const answer = await request(`${this.#options.url}/write`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...cookies(jar) },
        body: JSON.stringify({ key, stamp: id.id }),
        dispatcher: this.#agent,
      })
      keepCookies(jar, answer.headers['set-cookie'] ?? [])
      const text = await answer.body.text()
      if (answer.statusCode !== 200) throw new Error(`${answer.statusCode} ${text.slice(0, 100)}`)
      const row = JSON.parse(text) as { version: string }
      return [{ key: `counters/${key}`, version: Number(row.version), stamp: id.id }]
    })
  }

  async #writeOutside(): Promise<void> {
    const { primary, outsideEveryMs } = this.#options
    while (!this.#over) {
      await pause(Math.random() * 2 * outsideEveryMs)
      await this.writeFrom(primary)
    }
  }

  /** By somebody who knows nothing of the app. */
  async writeFrom(primary: PostgresAddress, key: string = pick(keys)!): Promise<boolean> {
    const id = this.#begin(key)
    return await this.#end('outside', id, async () => {
      const client = new pg.Client({
        ...(primary as pg.ClientConfig),
        connectionTimeoutMillis: 2_000,
        query_timeout: timeoutMs,
      })
      client.on('error', () => undefined)
      await client.connect()
      try {
        const sql = 'update counters set version = version + 1, stamp = $2 where key = $1 returning version'
        const { rows } = await client.query(sql, [key, id.id])
        return [{ key: `counters/${key}`, version: Number((rows[0] as { version: string }).version), stamp: id.id }]
      } finally {
        await client.end().catch(() => undefined)
      }
    })
  }

  #begin(key: string): { readonly id: string; readonly invoked: number } {
    const id = `${this.#options.name}w${(this.#count += 1)}`
    const invoked = performance.now()
    this.#options.history.add({ operation: 'begin', id, invoked, keys: [`counters/${key}`], removes: false })
    return { id, invoked }
  }

  async #end(
    session: string,
    { id, invoked }: { readonly id: string; readonly invoked: number },
    work: () => Promise<Item[]>,
  ): Promise<boolean> {
    const line = { operation: 'write', id, session, kind: 'update', invoked, undone: [], clone: '' } as const
    try {
      const items = await work()
      this.counts.writes += 1
      this.#options.history.add({ ...line, returned: performance.now(), outcome: 'acknowledged', items })
      return true
    } catch (error) {
      const note = (error as Error).message
      this.#options.history.add({ ...line, returned: performance.now(), outcome: 'unknown', items: [], note })
      return false
    }
  }

  #jar(session: string): Map<string, string> {
    let jar = this.#jars.get(session)
    if (jar === undefined) this.#jars.set(session, (jar = new Map()))
    return jar
  }
}

function cookies(jar: ReadonlyMap<string, string> | null): Record<string, string> {
  if (jar === null || jar.size === 0) return {}
  return { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
