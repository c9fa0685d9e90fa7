/**
 * Readers and writers of the app: sessions of two tabs each, at all levels at once, every request sent to the balancer,
 * which chooses the clone. Each operation goes into the history when it has returned.
 */

import { isIdentified } from '../sessions/traffic.ts'
import { Client } from './client.ts'
import { cachedReads, pickWanted, servedBy, uncachedReads, wantedOf } from './wanted.ts'
import { appKinds, counters, pickOne, planWrite, posts, shaped, type Kind } from './write-kinds.ts'

import type { Shown, Wanted } from './app.ts'
import type { History } from './history.ts'
import type { Done } from './write-kinds.ts'
import type { Level } from '../../../src/freshness/level.ts'

export interface TrafficOptions {
  /** The balancer's address. */
  readonly url: string
  readonly history: History
  /** Begins the names of its sessions, and the ids of its writes. */
  readonly name: string
  /** The level of each session. */
  readonly levels: readonly Level[]
  readonly writeShare: number
  /** Of the reads, how many go through the cache. */
  readonly cachedShare: number
  /** The rows of tables that joined late. */
  readonly late: readonly string[]
  /** Default: all that apps write. */
  readonly kinds?: readonly Kind[]
  /** What is read through the cache. Default: everything, single objects most. */
  readonly reads?: readonly Wanted['kind'][] | undefined
  /** In how many ways a sum is asked for. Default 1. */
  readonly variants?: number | undefined
}

const tabsPerSession = 2
const longestPauseMs = 12
/** After a failure a client waits a moment. */
const retryMs = 100
/** Half of the reads are of what was read or written last. */
const againShare = 0.5

export class Traffic {
  readonly #options: TrafficOptions
  readonly #client: Client
  /** Reads that were answered so far. */
  answered = 0
  #running: Promise<unknown> | null = null
  #over = false
  #count = 0

  constructor(options: TrafficOptions) {
    this.#options = options
    this.#client = new Client(options.url)
  }

  start(): void {
    const { levels, name } = this.#options
    this.#running = Promise.all(levels.map((level, at) => this.#live(`${name}-${at}`, level)))
  }

  async stop(): Promise<void> {
    this.#over = true
    await this.#running
    await this.#client.close()
  }

  /** Writes and reads that row back at `strict`; answers whether both succeeded. */
  async works(): Promise<boolean> {
    const session = `${this.#options.name}-0`
    if ((await this.#write(session, 'session', 'update')) === null) return false
    const wanted = { ...wantedOf('object', [counters[0]!]), cached: true }
    return await this.#read(session, 'strict', wanted)
  }

  /** Every row at `strict`, without the cache and with it: what was acknowledged and is not there now is lost. */
  async readAll(session: string): Promise<boolean> {
    const keys = [...counters, ...posts, ...shaped]
    for (const cached of [false, true]) {
      const reads = keys.map((key) => this.#read(session, 'strict', { ...wantedOf('row', [key]), cached }))
      if (!(await Promise.all(reads)).every(Boolean)) return false
    }
    return true
  }

  async #live(session: string, level: Level): Promise<void> {
    // A reader who is known by a cookie gets it with the first write; two first writes at once would be two readers.
    while (!this.#over && !isIdentified(session)) {
      if ((await this.#write(session, level, 'update')) !== null) break
      await pause(retryMs)
    }
    await Promise.all(Array.from({ length: tabsPerSession }, () => this.#browse(session, level)))
  }

  async #browse(session: string, level: Level): Promise<void> {
    const { writeShare } = this.#options
    let last = this.#pickRead()
    while (!this.#over) {
      const writes = Math.random() < writeShare
      if (!writes && Math.random() > againShare) last = this.#pickRead()
      const written = writes ? await this.#write(session, level) : null
      const done = writes ? written !== null : await this.#read(session, level, last)
      if (!done) await pause(retryMs)
      // Whoever has written looks at it, mostly through another clone.
      if (written !== null && Math.random() < againShare) last = this.#lookAt(written)
      if (!writes) await pause(Math.random() * longestPauseMs)
    }
  }

  #pickRead(): Wanted {
    const { cachedShare, late, reads = cachedReads, variants = 1 } = this.#options
    const cached = Math.random() < cachedShare
    const wanted = pickWanted(pickOne(cached ? reads : uncachedReads), late)
    const variant = Math.floor(Math.random() * variants)
    return { ...wanted, variant, cached, once: cached && Math.random() < 0.03 }
  }

  #lookAt(key: string): Wanted {
    const cached = Math.random() < this.#options.cachedShare
    return { ...wantedOf(cached ? 'object' : 'row', [key]), cached }
  }

  async #read(session: string, level: Level, wanted: Wanted): Promise<boolean> {
    const invoked = performance.now()
    const read = wanted.once ? 'strict' : level
    const base = { operation: 'read', session, level: read, kind: wanted.kind, invoked } as const
    const snapshot = !['board', 'objects'].includes(wanted.kind)
    try {
      const { body, clone, cacheStatus } = await this.#client.send('read', session, level, wanted)
      const { items, sum: value, server } = body as Shown
      const served = wanted.cached ? servedBy(cacheStatus) : ({ tier: 'database', server } as const)
      const sum = value === undefined ? {} : { sum: { keys: wanted.keys, value } }
      this.#options.history.add({ ...base, returned: performance.now(), items, snapshot, ...sum, clone, ...served })
      this.answered += 1
      return true
    } catch (error) {
      const returned = performance.now()
      const failed = { items: null, snapshot, clone: '', server: '', tier: '', note: noteOf(error) } as const
      this.#options.history.add({ ...base, returned, ...failed })
      return false
    }
  }

  /** Answers a row that it was about; null where it failed. */
  async #write(
    session: string,
    level: Level,
    kind: Kind = pickOne(this.#options.kinds ?? appKinds),
  ): Promise<string | null> {
    const plan = planWrite(kind)
    const id = `${this.#options.name}_${(this.#count += 1)}`
    const { history } = this.#options
    const invoked = performance.now()
    history.add({ operation: 'begin', id, invoked, keys: plan.keys, removes: plan.removes })
    const base = { operation: 'write', id, session, kind, invoked } as const
    try {
      const { body, clone } = await this.#client.send('write', session, level, { ...plan, id })
      history.add({ ...base, ...(body as Done), returned: performance.now(), clone })
      return pickOne(plan.keys)
    } catch (error) {
      const returned = performance.now()
      history.add({ ...base, outcome: 'unknown', items: [], undone: [], returned, clone: '', note: noteOf(error) })
      return null
    }
  }
}

function noteOf(error: unknown): string {
  return (error as Error).message
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
