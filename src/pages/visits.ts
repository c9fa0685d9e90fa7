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
const maxChars = 4 * 1024 * 1024
/** Longer ones are of no page that is worth it. */
const maxIdChars = 8_000
/**
 * At once: half of it for those that are asked for most, half for those that have waited longest. What nobody is told of is
 * taken for what nobody asks for, and given up after a day.
 */
const maxBytes = 64 * 1024
/** Of one, besides its id. */
const entryBytes = 8
const kept = { maxEntries: 200, ttlMs: 60_000 }
const packr = new Packr({ useRecords: false })

export class Visits {
  readonly #options: VisitsOptions
  /** Those that wait longest come first. */
  readonly #counts = new Map<string, number>()
  #chars = 0
  #timer: NodeJS.Timeout | null = null
  #closed = false

  constructor(options: VisitsOptions) {
    this.#options = options
  }

  /** How long all ids are that wait to be told. */
  get chars(): number {
    return this.#chars
  }

  add(id: string): void {
    const count = this.#counts.get(id)
    if (count === undefined) {
      if (this.#closed || !this.#hasRoomFor(id)) return
      this.#chars += id.length
    }
    this.#counts.set(id, (count ?? 0) + 1)
    this.#arm()
  }

  /** What was not told yet is forgotten. May be called twice. */
  close(): void {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#counts.clear()
    this.#chars = 0
  }

  #hasRoomFor({ length }: string): boolean {
    return length <= maxIdChars && this.#counts.size < maxCounted && this.#chars + length <= maxChars
  }

  /** Nothing is due while nobody asks for anything. */
  #arm(): void {
    this.#timer ??= setTimeout(() => void this.#tell(), this.#options.everyMs ?? defaultEveryMs).unref()
  }

  async #tell(): Promise<void> {
    const { store, build, log } = this.#options
    this.#timer = null
    const most = this.#take([...this.#counts].toSorted(([, one], [, other]) => other - one))
    const longest = this.#take(this.#counts)
    if (this.#counts.size > 0) this.#arm()
    await store
      .appendToStream(streamOf(build), packr.pack([...most, ...longest]), kept)
      .catch((error: unknown) => log.debug({ error }, 'workers were not told which pages are asked for'))
  }

  /** The first of them for which there is room. */
  #take(counts: Iterable<Visited>): Visited[] {
    const taken: Visited[] = []
    let bytes = 0
    for (const one of counts) {
      const [id] = one
      bytes += Buffer.byteLength(id) + entryBytes
      if (bytes > maxBytes / 2) break
      taken.push(one)
      this.#chars -= id.length
      this.#counts.delete(id)
    }
    return taken
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
