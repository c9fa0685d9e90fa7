/**
 * Waiting for news of jobs, in any process: told by the store's stream, and found by asking every second. One question serves
 * all who wait here.
 */

import { followNews, type ToldOptions } from './told.ts'

import type { JobEngine, JobRecord } from './engine.ts'

export interface WatchOptions extends ToldOptions {
  readonly engine: JobEngine
}

type Listener = (record: JobRecord | null) => void

const askEveryMs = 1_000
const maxAsked = 1_000

export class JobWatch {
  readonly #options: WatchOptions
  readonly #listeners = new Map<string, Set<Listener>>()
  #unfollow: (() => Promise<void>) | null = null
  #timer: NodeJS.Timeout | null = null
  #due = new Set<string>()
  #asking: Promise<void> | null = null
  readonly #end = new AbortController()

  constructor(options: WatchOptions) {
    this.#options = options
  }

  /** Calls with what the job is, now and whenever it may have changed; null: there is none. Answers what ends it. */
  follow(id: string, listener: Listener): () => void {
    const known = this.#listeners.get(id) ?? new Set()
    known.add(listener)
    this.#listeners.set(id, known)
    this.#start()
    this.#ask([id])
    return () => {
      known.delete(listener)
      if (known.size === 0 && this.#listeners.get(id) === known) this.#listeners.delete(id)
      if (this.#listeners.size === 0) this.#pause()
    }
  }

  /** Aborted when nothing is told here any more. */
  get ended(): AbortSignal {
    return this.#end.signal
  }

  /** How many wait here. */
  get size(): number {
    let size = 0
    for (const listeners of this.#listeners.values()) size += listeners.size
    return size
  }

  async close(): Promise<void> {
    this.#end.abort()
    this.#listeners.clear()
    this.#pause()
    await this.#asking
  }

  #start(): void {
    if (this.#end.signal.aborted) return
    this.#timer ??= setInterval(() => this.#ask(this.#listeners.keys()), askEveryMs).unref()
    // While nobody waits nothing is followed.
    this.#unfollow ??= followNews(
      this.#options,
      (ids) => this.#ask(ids),
      () => this.#ask(this.#listeners.keys()),
    )
  }

  #pause(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    void this.#unfollow?.()
    this.#unfollow = null
  }

  #ask(ids: Iterable<string>): void {
    for (const id of ids) if (this.#listeners.has(id)) this.#due.add(id)
    if (this.#due.size > 0 && !this.#end.signal.aborted)
      this.#asking ??= this.#askAll().finally(() => (this.#asking = null))
  }

  async #askAll(): Promise<void> {
    while (this.#due.size > 0 && !this.#end.signal.aborted) {
      const ids = [...this.#due].slice(0, maxAsked)
      for (const id of ids) this.#due.delete(id)
      try {
        const records = new Map((await this.#options.engine.find(ids)).map((record) => [record.id, record]))
        for (const id of ids) for (const listener of this.#listeners.get(id) ?? []) listener(records.get(id) ?? null)
      } catch (error) {
        // Asked again within a second.
        this.#options.log.debug({ error }, 'jobs that somebody waits for could not be read')
        return
      }
    }
  }
}
