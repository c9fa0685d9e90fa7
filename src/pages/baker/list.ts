/**
 * What of one page is baked ahead: its `params`, read like the load of an entry, and again when something that this read
 * changes; at most once a second, and for at most a twentieth of the time.
 */

import { loneFill } from '../../cache/fills.ts'
import { Recording } from '../../cache/recording.ts'
import { Scope } from '../../freshness/scope.ts'

import type { Clusters } from '../../cache/checks.ts'
import type { MakeTools } from '../../cache/object-source.ts'
import type { Logger } from '../../core/log.ts'
import type { PageSource } from '../page-source.ts'
import type { PageKey } from '../routes.ts'
import type { Dated, Watched } from './items.ts'
import type { Watch } from './watch.ts'

export interface ListOptions {
  readonly source: PageSource
  readonly watch: Watch
  readonly clusters: Clusters
  readonly makeTools: MakeTools
  readonly scope: Scope
  /** Takes the keys over, in their order; called after each reading. */
  readonly listed: (list: List, keys: readonly PageKey[]) => Promise<void>
  readonly log: Logger
}

const leastPauseMs = 1_000
const costFactor = 20
const endsWithinMs = 1_000
const firstRetryMs = 1_000
const longestRetryMs = 60_000
/** What reads something that is not watched yet is read again soon. */
const unwatchedMs = 1_000

export class List implements Watched {
  readonly number: number
  parts: Uint8Array | null = null
  dates: readonly Dated[] = []
  expiresAtMs: number = Infinity
  /** Counts the readings: what an older one named, and the last did not, is in the list no more. */
  reading = 0
  readonly #options: ListOptions
  #timer: NodeJS.Timeout | null = null
  #running: Promise<unknown> | null = null
  #again = false
  #fromMs = -Infinity
  #failures = 0
  #stopped = false
  #giveUp: () => void = () => undefined

  constructor(options: ListOptions, number: number) {
    this.#options = options
    this.number = number
  }

  get source(): PageSource {
    return this.#options.source
  }

  /** Reads it, as soon as that may be. */
  read(): void {
    if (this.#stopped) return
    this.#again = true
    if (this.#running !== null || this.#timer !== null) return
    const afterMs = Math.max(0, this.#fromMs - performance.now())
    this.#timer = setTimeout(() => {
      this.#timer = null
      void this.#begin(this.#options.scope)
    }, afterMs)
  }

  /**
   * Reads it at once, whatever it has cost, with all that was committed before: for whoever asks for all of it. Answers
   * what went wrong; it is tried again then.
   */
  async current(): Promise<unknown> {
    // One that is under way may have begun before what is asked for was there.
    await this.#running
    if (this.#stopped) return null
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    return await (this.#running ?? this.#begin(new Scope({ level: 'strict', reader: null })))
  }

  /** What is being read has a moment to come: it is the app's own code, which may never end. */
  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    const over = setTimeout(() => this.#giveUp(), endsWithinMs)
    await this.#running
    clearTimeout(over)
  }

  #begin(scope: Scope): Promise<unknown> {
    const { promise, resolve } = Promise.withResolvers<unknown>()
    this.#giveUp = () => resolve(null)
    void this.#read(scope).then(resolve)
    this.#running = promise.finally(() => {
      this.#running = null
      if (this.#again) this.read()
    })
    return this.#running
  }

  /** Answers the error, if there was one. */
  async #read(scope: Scope): Promise<unknown> {
    const { source, watch, log } = this.#options
    this.#again = false
    const began = performance.now()
    try {
      const { keys, kept } = await this.#load(scope)
      if (this.#stopped) return null
      this.reading += 1
      await this.#options.listed(this, keys)
      this.#failures = 0
      const costMs = performance.now() - began
      this.#fromMs = performance.now() + Math.max(leastPauseMs, costFactor * costMs)
      // What changed while it was taken over was told to nobody.
      if (!kept || watch.staleness(this) !== null) this.#later(unwatchedMs)
      return null
    } catch (error) {
      if (this.#stopped) return null
      this.#failures += 1
      const retryMs = Math.min(longestRetryMs, firstRetryMs * 2 ** (this.#failures - 1))
      log.warn({ error, page: source.name, retryMs }, 'what is to be baked ahead could not be listed: trying again')
      this.#later(retryMs)
      return error
    }
  }

  #later(afterMs: number): void {
    this.#fromMs = Math.max(this.#fromMs, performance.now() + afterMs)
    this.#again = true
  }

  /** The keys, and whether a change of them will be told. */
  async #load(scope: Scope): Promise<{ readonly keys: readonly PageKey[]; readonly kept: boolean }> {
    const { source, watch, clusters, makeTools } = this.#options
    const { params = [] } = source.definition
    if (typeof params !== 'function') return { keys: params.map(keyOf), kept: true }
    const recording = new Recording(clusters)
    const what = `the params of ${source.name}`
    const tools = makeTools({ scope, recording, fill: loneFill(what, null) })
    const found = await params(tools as never)
    // A list that reads nothing is the same for ever.
    const recorded = recording.finish(what, true)
    if ('refused' in recorded) return { keys: found.map(keyOf), kept: false }
    // Before they are taken over: a change meanwhile is heard.
    watch.adopt(this, { parts: recorded.parts, expiresAtMs: Infinity })
    const coarse = recording.expiresAtMs !== Infinity
    return { keys: found.map(keyOf), kept: !coarse }
  }
}

/** As it is read from an address: of texts. */
function keyOf(params: Readonly<Record<string, unknown>>): PageKey {
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, String(value)]))
}
