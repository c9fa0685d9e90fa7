/**
 * Bakes what was touched, a few at a time: those that are read most first, and then what is not urgent (what is missing,
 * orders), for as long as nothing else waits.
 *
 * - An entry stands in the queue once. Touched while it is baked, it is baked once more; touched again and again, in ever
 *   longer intervals, up to a second.
 * - What was loaded and could not be kept (a table is not watched yet, a row changes all the time) is baked again soon.
 * - A bake that fails is tried again: see `failures.ts`. What is left for want of room: see `leftovers.ts`.
 */

import { DueTimes } from './due.ts'
import { Failures, firstRetryMs } from './failures.ts'
import { Leftovers } from './leftovers.ts'
import { BakeQueue } from './queue.ts'

import type { Logger } from '../../core/log.ts'
import type { Item } from './items.ts'

/** What came of a bake. */
export type Outcome = 'baked' | 'found' | 'unkept' | 'failed'

/** What a bake is done with. */
export interface Baked {
  readonly outcome: 'baked' | 'found' | 'unkept'
  /** Whether it will be known more exactly soon: a table's rows are not told apart yet. */
  readonly coarse: boolean
  /** When it ends by the clock, and is to be baked before; Infinity: it does not. Monotonic, ms. */
  readonly endsAtMs: number
}

export interface BakesOptions {
  readonly bake: (item: Item, anew: boolean) => Promise<Baked>
  /** What is not urgent; null: nothing, for now. */
  readonly next: () => Item | null
  readonly ended: (item: Item, outcome: Outcome) => void
  readonly weightOf: (id: string) => number
  readonly atOnce: number
  readonly backlog: number
  /** Whether what is left is baked in the end. */
  readonly bakesLeft: boolean
  readonly log: Logger
}

export interface BakeCounts {
  /** Loaded by this worker. */
  baked: number
  /** Wanted, and loaded by somebody else already. */
  found: number
  failed: number
  unkept: number
  /** Touched when there was no room for it: left to whoever asks for it. */
  left: number
}

const firstUnkeptMs = 100
const longestUnkeptMs = 5_000
/** What is not urgent waits so long for a table to be watched: else all of it would be baked twice. */
const coarseMs = 300
const pauseFactor = 3
const longestPauseMs = 1_000
/** Changes that are so many pauses apart do not come fast. */
const apart = 10

export class Bakes {
  readonly counts: BakeCounts = { baked: 0, found: 0, failed: 0, unkept: 0, left: 0 }
  readonly queue: BakeQueue
  readonly #options: BakesOptions
  readonly #due = new DueTimes()
  readonly #running = new Set<Promise<void>>()
  readonly #left: Leftovers
  readonly #failures: Failures
  #timer: NodeJS.Timeout | null = null
  /** Until then nothing that is not urgent is begun. */
  #choresFromMs = 0
  #stopped = false

  constructor(options: BakesOptions) {
    this.#options = options
    this.queue = new BakeQueue(options)
    this.#left = new Leftovers(options.bakesLeft)
    this.#failures = new Failures(options.log)
  }

  /** Those whose last bake failed through what they are. */
  get failing(): ReadonlySet<Item> {
    return this.#failures.failing
  }

  get running(): number {
    return this.#running.size
  }

  /** It may be over. */
  touch(item: Item): void {
    if (item.state === 'waiting' || item.gone) return
    if (item.state === 'baking') {
      item.again = true
      return
    }
    const nowMs = performance.now()
    this.#pace(item, nowMs)
    this.#put(item)
    this.#pump()
  }

  /** It is baked before long, or again, for another reason than a change. */
  touchAt(item: Item, atMs: number, anew: boolean): void {
    if (item.gone) return
    // Not before: what a change ends until then may have been loaded by somebody else.
    item.dueAnew = anew
    this.#due.set(item, atMs)
    this.#arm()
  }

  /** It is to be looked at in the end, as what was left; unless something is being done about it anyway. */
  later(item: Item): void {
    if (item.gone || item.state !== 'idle' || item.failures > 0 || item.dueAtMs !== Infinity) return
    this.#left.add(item)
    this.#pump()
  }

  /** Nobody looks after it here any more. */
  forget(item: Item): void {
    item.gone = true
    this.queue.delete(item)
    this.#left.delete(item)
    this.#due.set(item, Infinity)
    this.#failures.forget(item)
    if (item.state === 'waiting') item.state = 'idle'
  }

  /** There may be something to do that is not urgent. */
  wake(): void {
    this.#pump()
  }

  /** Resolves when what was begun has ended; what waits is not begun. */
  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await Promise.all(this.#running)
  }

  #pace(item: Item, nowMs: number): void {
    const pauseMs = Math.max(item.pauseMs, item.bakeMs)
    item.pauseMs =
      nowMs - item.bakedAtMs > apart * pauseMs
        ? 0
        : Math.min(longestPauseMs, Math.max(2 * item.pauseMs, pauseFactor * item.bakeMs))
    const afterFailureMs = item.failures === 0 ? 0 : item.failedAtMs + firstRetryMs
    item.notBeforeMs = Math.max(item.bakedAtMs + item.pauseMs, afterFailureMs)
  }

  #put(item: Item): void {
    item.left = false
    item.state = 'waiting'
    const out = this.queue.add(item)
    if (out === null) return
    out.state = 'idle'
    this.counts.left += 1
    this.#left.add(out)
  }

  #pump(): void {
    if (this.#stopped) return
    const { atOnce } = this.#options
    const nowMs = performance.now()
    for (let item = this.#due.take(nowMs); item !== null; item = this.#due.take(nowMs)) {
      item.anew ||= item.dueAnew
      if (item.state === 'idle') this.#put(item)
    }
    while (this.#running.size < atOnce && nowMs >= this.#failures.fromMs) {
      const chore = (): Item | null => this.#options.next() ?? this.#left.take(nowMs)
      const item = this.queue.take(nowMs) ?? (nowMs >= this.#choresFromMs ? chore() : null)
      if (item === null) break
      if (item.state === 'baking') item.again = true
      else this.#begin(item)
    }
    this.#arm()
  }

  #arm(): void {
    if (this.#stopped) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#running.size >= this.#options.atOnce) return
    const nowMs = performance.now()
    const choresAtMs = this.#choresFromMs > nowMs ? this.#choresFromMs : this.#left.nextAtMs()
    const atMs = Math.max(this.#failures.fromMs, Math.min(this.queue.nextAtMs(), this.#due.nextAtMs(), choresAtMs))
    if (atMs === Infinity) return
    this.#timer = setTimeout(() => this.#pump(), Math.min(60_000, Math.max(1, Math.ceil(atMs - nowMs))))
  }

  #begin(item: Item): void {
    // Taken as one that is not urgent while it waited.
    this.queue.delete(item)
    const { anew, left } = item
    item.state = 'baking'
    item.again = false
    item.anew = false
    item.left = false
    this.#due.set(item, Infinity)
    const work = this.#bake(item, anew).then((outcome) => {
      this.#running.delete(work)
      item.state = 'idle'
      if (left) this.#left.ended(item)
      this.counts[outcome] += 1
      this.#options.ended(item, outcome)
      if (item.again) this.touch(item)
      this.#pump()
    })
    this.#running.add(work)
  }

  async #bake(item: Item, anew: boolean): Promise<Outcome> {
    const began = performance.now()
    try {
      const { outcome, coarse, endsAtMs } = await this.#options.bake(item, anew)
      const nowMs = performance.now()
      item.bakedAtMs = nowMs
      if (outcome !== 'found') item.bakeMs = nowMs - began
      this.#failures.heal(item, nowMs)
      if (outcome === 'unkept') return this.#retryUnkept(item, nowMs, anew)
      item.unkept = 0
      if (coarse) this.#choresFromMs = nowMs + coarseMs
      const atMs = coarse ? nowMs + coarseMs : endsAtMs
      if (atMs !== Infinity) this.touchAt(item, atMs, true)
      return outcome
    } catch (error) {
      return this.#fail(item, error, anew)
    }
  }

  #retryUnkept(item: Item, nowMs: number, anew: boolean): 'unkept' {
    const afterMs = Math.min(longestUnkeptMs, firstUnkeptMs * 2 ** item.unkept)
    item.unkept += 1
    this.#choresFromMs = nowMs + Math.min(afterMs, coarseMs)
    item.anew ||= anew
    this.touchAt(item, nowMs + afterMs, false)
    return 'unkept'
  }

  #fail(item: Item, error: unknown, anew: boolean): 'failed' {
    const nowMs = performance.now()
    const retryMs = this.#failures.add(item, error, nowMs)
    item.bakedAtMs = nowMs
    item.anew ||= anew
    this.touchAt(item, nowMs + retryMs, false)
    return 'failed'
  }
}
