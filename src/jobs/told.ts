/**
 * What processes tell each other of jobs, in two streams of the store: workers, that there is something to do; whoever waits
 * for a job, that there is something new. Hints: without them everything is found a second later.
 *
 * Told never from within a transaction, and never one by one: what comes while a message is under way goes with the next.
 */

import { Packr } from 'msgpackr'

import { followTold } from '../store/told-stream.ts'

import type { Logger } from '../core/log.ts'
import type { Store } from '../store/store.ts'

/** For workers. */
export interface Call {
  /** Jobs are waiting. */
  readonly work?: true
  /** Jobs will be due. */
  readonly due?: true
  /** What is paused has changed. */
  readonly paused?: true
  /** These are to be cancelled. */
  readonly cancel?: readonly string[]
  /** Who asks itself whether it is heard. */
  readonly probe?: true
}

/** For whoever waits: ids of jobs that have changed. */
export type News = readonly string[]

export interface ToldOptions {
  readonly store: Store
  readonly log: Logger
}

const calls = 'jobs:calls'
const news = 'jobs:news'
const kept = { maxEntries: 1_000, ttlMs: 60_000 }
const packr = new Packr({ useRecords: false })

export class Teller {
  readonly #options: ToldOptions
  #call: Call = {}
  #news = new Set<string>()
  #calling: Promise<void> | null = null
  #telling: Promise<void> | null = null

  constructor(options: ToldOptions) {
    this.#options = options
  }

  call({ cancel = [], ...call }: Call): void {
    const before = this.#call.cancel ?? []
    this.#call = {
      ...this.#call,
      ...call,
      ...((before.length > 0 || cancel.length > 0) && { cancel: [...before, ...cancel] }),
    }
    this.#calling ??= this.#run(async () => {
      while (Object.keys(this.#call).length > 0) {
        const next = this.#call
        this.#call = {}
        await this.#append(calls, next)
      }
    }).finally(() => (this.#calling = null))
  }

  tell(ids: Iterable<string>): void {
    for (const id of ids) this.#news.add(id)
    if (this.#news.size === 0) return
    this.#telling ??= this.#run(async () => {
      while (this.#news.size > 0) {
        const next = [...this.#news]
        this.#news = new Set()
        await this.#append(news, next)
      }
    }).finally(() => (this.#telling = null))
  }

  /** What was told until now is on its way, or given up. */
  async settle(): Promise<void> {
    await Promise.all([this.#calling, this.#telling])
  }

  /** Not in the step in which it is asked for: what comes in the same one goes with it. */
  async #run(work: () => Promise<void>): Promise<void> {
    await Promise.resolve()
    await work()
  }

  async #append(stream: string, value: unknown): Promise<void> {
    const { store, log } = this.#options
    await store
      .appendToStream(stream, packr.pack(value), kept)
      .catch((error: unknown) => log.debug({ error }, 'not told of jobs: others find out by asking'))
  }
}

/** Follows what workers are called for; answers what stops it. */
export function followCalls(options: ToldOptions, hear: (call: Call) => void, missed: () => void): () => Promise<void> {
  const each = (told: readonly Call[]): void => told.forEach(hear)
  return followTold<Call>({ ...options, stream: calls, decode, hear: each, missed })
}

/** Follows which jobs have changed; answers what stops it. */
export function followNews(options: ToldOptions, hear: (ids: News) => void, missed: () => void): () => Promise<void> {
  return followTold<News>({ ...options, stream: news, decode, hear: (told) => hear(told.flat()), missed })
}

function decode<T>(bytes: Uint8Array): T | null {
  try {
    return packr.unpack(bytes as Buffer) as T
  } catch {
    return null
  }
}
