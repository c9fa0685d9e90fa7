/**
 * What processes tell each other of jobs: workers, that there is something to do, through the jobs' database; whoever waits
 * for a job, that there is something new, in a stream of the store. Hints: without them everything is found a second later.
 *
 * Told never from within a transaction, and never one by one: what comes while a message is under way goes with the next.
 */

import { Packr } from 'msgpackr'

import { followTold } from '../store/told-stream.ts'

import type { JobEngine } from './engine.ts'
import type { Logger } from '../core/log.ts'
import type { Store } from '../store/store.ts'

/** For workers. */
export interface Call {
  /** Jobs are waiting. */
  readonly work?: true
  /** Of these names, and of no others as far as is known here. Absent: of any. */
  readonly names?: readonly string[]
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

const news = 'jobs:news'
const kept = { maxEntries: 1_000, ttlMs: 60_000 }
/** Of a call, which must be short. */
const maxCancelled = 200
const maxNamed = 10
const packr = new Packr({ useRecords: false })

export class Teller {
  readonly #options: ToldOptions & { readonly engine: Pick<JobEngine, 'call'> }
  #call: Call = {}
  #news = new Set<string>()
  #calling: Promise<void> | null = null
  #telling: Promise<void> | null = null
  #orders = 0

  constructor(options: ToldOptions & { readonly engine: Pick<JobEngine, 'call'> }) {
    this.#options = options
  }

  call({ cancel = [], ...call }: Call): void {
    const { cancel: before = [], names: _names, ...known } = this.#call
    const names = namesOf(this.#call, call)
    this.#call = {
      ...known,
      ...{ ...call, names: undefined },
      ...(names !== null && { names }),
      ...((before.length > 0 || cancel.length > 0) && { cancel: [...before, ...cancel] }),
    }
    this.#calling ??= this.#run(async () => {
      while (Object.keys(this.#call).length > 0) await this.#callNext()
    }).finally(() => (this.#calling = null))
  }

  /**
   * Calls for what `order` commits: with the message that it is given to send right behind, which nobody has to wait for; or
   * afterwards, for all together, where others are under way here.
   */
  async calling<T>(call: Call, order: (message: string | undefined) => Promise<T>): Promise<T> {
    const isAlone = this.#orders === 0
    this.#orders += 1
    try {
      const ordered = await order(isAlone ? JSON.stringify(call) : undefined)
      if (!isAlone) this.call(call)
      return ordered
    } finally {
      this.#orders -= 1
    }
  }

  tell(ids: Iterable<string>): void {
    for (const id of ids) this.#news.add(id)
    if (this.#news.size === 0) return
    this.#telling ??= this.#run(async () => {
      while (this.#news.size > 0) {
        const next = [...this.#news]
        this.#news = new Set()
        await this.#append(next)
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

  async #callNext(): Promise<void> {
    const { engine, log } = this.#options
    const { cancel = [], ...rest } = this.#call
    const later = cancel.slice(maxCancelled)
    this.#call = later.length > 0 ? { cancel: later } : {}
    const next = { ...rest, ...(cancel.length > 0 && { cancel: cancel.slice(0, maxCancelled) }) }
    await engine
      .call(JSON.stringify(next))
      .catch((error: unknown) => log.debug({ error }, 'workers of jobs were not called: they find out by asking'))
  }

  async #append(ids: News): Promise<void> {
    const { store, log } = this.#options
    await store
      .appendToStream(news, packr.pack(ids), kept)
      .catch((error: unknown) => log.debug({ error }, 'not told of jobs: others find out by asking'))
  }
}

/** Of what both together call for work; null: of any, or of none. */
function namesOf(one: Call, other: Call): readonly string[] | null {
  const calls = [one, other].filter(({ work }) => work === true)
  if (calls.some(({ names }) => names === undefined)) return null
  const names = [...new Set(calls.flatMap((call) => call.names!))]
  return names.length > 0 && names.length <= maxNamed ? names : null
}

/** What a message calls for; nothing, where another version has said something else. */
export function callOf(message: string): Call {
  try {
    const call: unknown = JSON.parse(message)
    if (typeof call !== 'object' || call === null) return {}
    const { names = [], cancel = [] } = call as { names?: unknown; cancel?: unknown }
    return Array.isArray(names) && Array.isArray(cancel) ? call : {}
  } catch {
    return {}
  }
}

/** Follows which jobs have changed; answers what stops it. */
export function followNews(options: ToldOptions, hear: (ids: News) => void, missed: () => void): () => Promise<void> {
  return followTold<News>({ ...options, stream: news, decode, hear: (told) => hear(told.flat()), missed })
}

function decode(bytes: Uint8Array): News | null {
  try {
    return packr.unpack(bytes as Buffer) as News
  } catch {
    return null
  }
}
