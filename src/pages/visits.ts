/**
 * How often pages are asked for. Whoever answers pages counts, and tells the workers every few seconds: what is asked for
 * most is baked first, and what nobody asks for any more need not be looked after. A worker sees none of these visits
 * itself, because what is baked in time is answered from memory.
 *
 * Hints: counts that are lost with a process or a store are not made up for.
 */

import { Packr } from 'msgpackr'

import { followTold, type ToldStream } from '../store/told-stream.ts'

import type { Logger } from '../core/log.ts'
import type { Store } from '../store/store.ts'

export interface VisitsOptions {
  readonly store: Store
  /** Names the app's code. */
  readonly build: string
  readonly log: Logger
  /** How often they are told. Default: 5,000. */
  readonly everyMs?: number
}

/** Of an entry, since it was told last. */
export type Visited = readonly [id: string, count: number]

const defaultEveryMs = 5_000
/** Addresses come from anybody: beyond this, those that are new have to wait for the next time. */
const maxCounted = 20_000
/** Those that are asked for most. What is asked for less is told when its turn comes, or never. */
const maxTold = 500
const kept = { maxEntries: 200, ttlMs: 60_000 }
const packr = new Packr({ useRecords: false })

export class Visits {
  readonly #options: VisitsOptions
  #counts = new Map<string, number>()
  #timer: NodeJS.Timeout | null = null
  #closed = false

  constructor(options: VisitsOptions) {
    this.#options = options
  }

  add(id: string): void {
    const count = this.#counts.get(id)
    if (count === undefined && (this.#closed || this.#counts.size >= maxCounted)) return
    this.#counts.set(id, (count ?? 0) + 1)
    // Nothing is due while nobody asks for anything.
    this.#timer ??= setTimeout(() => void this.#tell(), this.#options.everyMs ?? defaultEveryMs).unref()
  }

  /** What was not told yet is forgotten. May be called twice. */
  close(): void {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#counts.clear()
  }

  async #tell(): Promise<void> {
    const { store, build, log } = this.#options
    const counts = [...this.#counts]
    this.#counts = new Map()
    this.#timer = null
    const most = counts.toSorted(([, one], [, other]) => other - one).slice(0, maxTold)
    await store
      .appendToStream(streamOf(build), packr.pack(most), kept)
      .catch((error: unknown) => log.debug({ error }, 'workers were not told which pages are asked for'))
  }
}

export type FollowVisitsOptions = Pick<ToldStream<Visited>, 'store' | 'log' | 'hear'> & { readonly build: string }

/** Follows what is told from now on; answers what stops it. */
export function followVisits({ build, hear, ...options }: FollowVisitsOptions): () => Promise<void> {
  return followTold({ ...options, stream: streamOf(build), decode, hear: (told) => hear(told.flat()) })
}

function streamOf(build: string): string {
  return `pages:visits:${build}`
}

function decode(bytes: Uint8Array): Visited[] | null {
  try {
    return packr.unpack(bytes as Buffer) as Visited[]
  } catch {
    return null
  }
}
