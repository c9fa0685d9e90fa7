/**
 * Bakes what was touched, a few at a time: those that are read most first, and then what is not urgent (what is missing,
 * orders), for as long as nothing else waits.
 *
 * - An entry stands in the queue once. Touched while it is baked, it is baked once more; touched again and again, in ever
 *   longer intervals, up to a second.
 * - A bake that fails is tried again after 1, 2, 4 seconds and so on; what was there before stays where it is.
 * - What was loaded and could not be kept (a table is not watched yet, a row changes all the time) is baked again soon.
 * - What is left for want of room is nobody's work: whoever asks for it loads it. Only where a copy of it lies somewhere
 *   else, for which nobody asks, it is baked in the end: one at a time, when nothing else waits.
 */

import { isFourfoldError } from '../../core/errors.ts'
import { DueTimes } from './due.ts'
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

const firstRetryMs = 1_000
const longestRetryMs = 300_000
const firstUnkeptMs = 100
const longestUnkeptMs = 5_000
/** What is not urgent waits so long for a table to be watched: else all of it would be baked twice. */
const coarseMs = 300
const pauseFactor = 3
const longestPauseMs = 1_000
/** Changes that are so many pauses apart do not come fast. */
const apart = 10
/** A database that is away is tried again by one bake after so long. */
const awayMs = 1_000
/** More lines than these about pages that fail tell nobody anything. */
const maxToldOf = 20

export class Bakes {
  readonly counts: BakeCounts = { baked: 0, found: 0, failed: 0, unkept: 0, left: 0 }
  readonly failing: Set<Item> = new Set()
  readonly queue: BakeQueue
  readonly #options: BakesOptions
  readonly #due = new DueTimes()
  readonly #running = new Set<Promise<void>>()
  /** What is left and baked in the end. */
  readonly #left = new Set<Item>()
  #leftFromMs = 0
  #bakesOneLeft = false
  #timer: NodeJS.Timeout | null = null
  /** Until then nothing that is not urgent is begun. */
  #choresFromMs = 0
  #fromMs = 0
  /** When a bake went well last. */
  #wellAtMs: number = -Infinity
  #stopped = false

  constructor(options: BakesOptions) {
    this.#options = options
    this.queue = new BakeQueue(options)
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
    this.#leave(item)
    this.#pump()
  }

  /** Nobody looks after it here any more. */
  forget(item: Item): void {
    item.gone = true
    this.queue.delete(item)
    this.#left.delete(item)
    this.#due.set(item, Infinity)
    this.failing.delete(item)
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
    this.#leave(out)
  }

  #leave(item: Item): void {
    item.left = true
    if (this.#options.bakesLeft) this.#left.add(item)
  }

  /** One of what was left; with a rest behind each, as long as its bake. */
  #nextLeft(nowMs: number): Item | null {
    if (this.#bakesOneLeft || nowMs < this.#leftFromMs) return null
    for (const item of this.#left) {
      this.#left.delete(item)
      if (!item.left || item.state !== 'idle') continue
      this.#bakesOneLeft = true
      return item
    }
    return null
  }

  #pump(): void {
    if (this.#stopped) return
    const { atOnce } = this.#options
    const nowMs = performance.now()
    for (let item = this.#due.take(nowMs); item !== null; item = this.#due.take(nowMs)) {
      item.anew ||= item.dueAnew
      if (item.state === 'idle') this.#put(item)
    }
    while (this.#running.size < atOnce && nowMs >= this.#fromMs) {
      const chore = (): Item | null => this.#options.next() ?? this.#nextLeft(nowMs)
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
    const leftAtMs = this.#left.size > 0 && !this.#bakesOneLeft ? this.#leftFromMs : Infinity
    const choresAtMs = this.#choresFromMs > nowMs ? this.#choresFromMs : leftAtMs
    const atMs = Math.max(this.#fromMs, Math.min(this.queue.nextAtMs(), this.#due.nextAtMs(), choresAtMs))
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
      if (left) {
        this.#bakesOneLeft = false
        this.#leftFromMs = performance.now() + item.bakeMs
      }
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
      this.#wellAtMs = nowMs
      if (outcome !== 'found') item.bakeMs = nowMs - began
      this.#heal(item)
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
    const isOwn = !isOutage(error) || this.#wellAtMs > item.failedAtMs
    if (isOwn) item.failures += 1
    const retryMs = isOwn ? Math.min(longestRetryMs, firstRetryMs * 2 ** (item.failures - 1)) : awayMs
    this.#tellOfFailure(item, error, retryMs, isOwn ? this.failing.size < maxToldOf : nowMs >= this.#fromMs)
    if (isOwn && !item.gone) this.failing.add(item)
    if (!isOwn) this.#fromMs = nowMs + awayMs
    item.bakedAtMs = nowMs
    item.failedAtMs = nowMs
    item.error = error instanceof Error ? error.message : String(error)
    item.anew ||= anew
    this.touchAt(item, nowMs + retryMs, false)
    return 'failed'
  }

  #tellOfFailure({ id, failures }: Item, error: unknown, retryMs: number, aloud: boolean): void {
    const { log } = this.#options
    const fields = { error, id, failures, retryMs }
    const text = 'a bake failed: what was baked before stays, and it is tried again'
    if (aloud) log.warn(fields, text)
    else log.debug(fields, text)
  }

  #heal(item: Item): void {
    item.failures = 0
    item.failedAtMs = Infinity
    item.error = null
    this.failing.delete(item)
  }
}

/** What is nobody's fault, if others fail as well: the database or the store is away. */
function isOutage(error: unknown): boolean {
  return isFourfoldError(error) && error.retryable && !error.code.startsWith('FF_PAGE_')
}
