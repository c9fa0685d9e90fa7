/**
 * Browsers that order a job, listen for its end as `EventSource` does, come back wherever they were cut off, and look for what
 * it wrote as soon as they are told that it is done.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { readEvents } from '../../support/server-sent-events.ts'

export interface ListenerCounts {
  ordered: number
  told: number
  /** Connections that were made anew. */
  resumed: number
  progress: number
  failedRequests: number
}

export interface ListenersOptions {
  readonly url: string
  readonly count: number
  /** The number of the next job. */
  readonly nextN: () => number
  readonly ordered: (n: number) => void
  readonly violation: (what: string) => void
}

const requestMs = 5_000
const toldWithinMs = 90_000

export class Listeners {
  readonly counts: ListenerCounts = { ordered: 0, told: 0, resumed: 0, progress: 0, failedRequests: 0 }
  readonly #options: ListenersOptions
  readonly #running: Promise<void>[]
  #stopped = false

  constructor(options: ListenersOptions) {
    this.#options = options
    this.#running = Array.from({ length: options.count }, (_, at) => this.#listen(`reader:${at}`))
  }

  /** No more orders; what was ordered is waited for. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(this.#running)
  }

  async #listen(reader: string): Promise<void> {
    while (!this.#stopped) {
      const n = this.#options.nextN()
      try {
        const place = await this.#order(reader, n)
        this.#options.ordered(n)
        this.counts.ordered += 1
        await this.#follow(reader, n, place)
      } catch (error) {
        this.#options.violation(`job ${n} of ${reader}: ${String(error)}`)
      }
    }
  }

  /** Sent again until it is answered: with its key it stays one order. */
  async #order(reader: string, n: number): Promise<string> {
    const headers = { 'idempotency-key': `"${reader} ${n}"` }
    return await this.#until(`the order of ${n}`, async () => {
      const answer = await this.#ask(`/order?n=${n}`, reader, { method: 'POST', headers })
      await answer.body?.cancel()
      if (answer.status !== 202 && answer.status !== 200) return null
      return answer.headers.get('location') ?? answer.headers.get('content-location')
    })
  }

  async #follow(reader: string, n: number, place: string): Promise<void> {
    let last = -1
    let done = 0
    const hear = async (event: string, id: number): Promise<void> => {
      if (id <= last) this.#options.violation(`job ${n}: event ${id} after ${last}`)
      last = Math.max(last, id)
      if (event === 'progress') this.counts.progress += 1
      if (event !== 'done') return
      done += 1
      await this.#look(reader, n)
    }
    await this.#until(`the end of ${n}`, async () => {
      const headers: Record<string, string> = last < 0 ? {} : { 'last-event-id': String(last) }
      const answer = await this.#ask(`${place}/events`, reader, { headers }, null)
      if (answer.status === 204) return true
      if (answer.status === 404) throw new Error(`${place} is not there`)
      if (answer.status === 200) {
        await listen(answer, hear).catch(() => undefined)
        if (done === 0) this.counts.resumed += 1
      } else await answer.body?.cancel()
      return null
    })
    if (done !== 1) this.#options.violation(`job ${n}: done was told ${done} times`)
    this.counts.told += 1
  }

  /** Told that it is done: the very next read must show it. */
  async #look(reader: string, n: number): Promise<void> {
    const { seen } = await this.#until(`the effect of ${n}`, async () => {
      const answer = await this.#ask(`/effect/${n}`, reader)
      if (answer.status === 200) return (await answer.json()) as { seen: boolean }
      await answer.body?.cancel()
      return null
    })
    if (!seen) this.#options.violation(`job ${n}: done was told, and what it wrote was not there`)
  }

  async #ask(path: string, reader: string, init: RequestInit = {}, ms: number | null = requestMs): Promise<Response> {
    const headers = { ...(init.headers as object), 'x-reader': reader }
    return await fetch(this.#options.url + path, { ...init, headers, signal: AbortSignal.timeout(ms ?? 30_000) })
  }

  async #until<T>(what: string, work: () => Promise<T | null>): Promise<T> {
    const deadline = performance.now() + toldWithinMs
    for (;;) {
      try {
        const result = await work()
        if (result !== null) return result
      } catch (error) {
        if ((error as Error).message.endsWith('is not there')) throw error
        this.counts.failedRequests += 1
      }
      if (performance.now() > deadline) throw new Error(`waited ${toldWithinMs} ms for ${what}`)
      await pause(20)
    }
  }
}

async function listen(answer: Response, hear: (event: string, id: number) => Promise<void>): Promise<void> {
  for await (const { id, event } of readEvents(answer)) await hear(event, Number(id))
}
