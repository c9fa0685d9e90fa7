/**
 * Loads that run: one for each entry in a process, joined by whoever wants the same in the meantime, and no more at
 * once than the database can bear.
 *
 * A joiner never takes a result blindly: it is checked for each reader like any entry. Loads that use each other's
 * entries could wait in a circle: who would close one loads for itself.
 */

import { withDeadline } from '../core/deadline.ts'
import { FourfoldError, isFourfoldError } from '../core/errors.ts'

import type { Entry } from './entry.ts'

/** What came of a load. The entry is null where the answer cannot be kept. */
export interface Filled {
  readonly value: unknown
  readonly entry: Entry | null
  /** Whether all of it was read on the primary by the load itself: it shows whatever was acknowledged before the load began. */
  readonly direct?: boolean
}

export interface Fill {
  readonly id: string
  /** The load that asked for this one. */
  readonly parent: Fill | null
  /** The loads whose results this one waits for. */
  readonly waitsFor: Set<Fill>
  readonly done: Promise<Filled>
  /** How many loads had begun with this one: greater than {@link Fills.begun} was for whoever came before it. */
  readonly number: number
  /** How many wait for it beside whoever began it. */
  joined: number
  /** The loads that it is a part of, where it is part of several: see {@link gateFill}. */
  readonly behind?: readonly Fill[]
}

export interface FillLimits {
  /** Loads at once, those that are part of others not counted. Default 64. */
  readonly atOnce?: number
  /** How many wait for a place. Default 10,000. */
  readonly waiting?: number
  /** How long they wait. Default 5,000. */
  readonly waitMs?: number
  /** How long a load may take before nobody waits for it any more. Default 60,000: statements end earlier by themselves. */
  readonly loadMs?: number
  readonly nowMs?: () => number
}

const failuresToOpen = 5
const openMs = 1_000

export class Fills {
  readonly #limits: Required<FillLimits>
  readonly #running = new Map<string, Fill>()
  #places: number
  readonly #queue: (() => void)[] = []
  /** How many loads have begun. */
  begun = 0
  #failures = 0
  #openUntilMs = -Infinity

  constructor(limits: FillLimits = {}) {
    const defaults = { atOnce: 64, waiting: 10_000, waitMs: 5_000, loadMs: 60_000, nowMs: () => performance.now() }
    this.#limits = { ...defaults, ...limits }
    this.#places = this.#limits.atOnce
  }

  get running(): number {
    return this.#running.size
  }

  find(id: string): Fill | null {
    return this.#running.get(id) ?? null
  }

  /** Whether a load waiting for another would wait, through others, for itself. */
  wouldWaitForItself(waiting: Fill | null, other: Fill): boolean {
    for (let at = waiting; at !== null; at = at.parent) if (reaches(other, at, new Set())) return true
    return false
  }

  /** Waits for a load; the waiting load is marked, so that a circle can be seen. */
  async join(fill: Fill, waiting: Fill | null): Promise<Filled> {
    waiting?.waitsFor.add(fill)
    fill.joined += 1
    try {
      return await fill.done
    } finally {
      waiting?.waitsFor.delete(fill)
    }
  }

  /**
   * Runs a load that others may join from now on.
   *
   * @throws FF_CACHE_CYCLE where the load is part of itself, FF_CACHE_BUSY
   */
  start(id: string, parent: Fill | null, load: (fill: Fill) => Promise<Filled>): Fill {
    refuseCycle(parent, id)
    const { fill, resolve, reject } = this.#register(id, parent)
    parent?.waitsFor.add(fill)
    this.#run(fill, load).then(resolve, reject)
    return fill
  }

  /** One entry of a load of several, so that others can join it: it waits for the load, and not the load for it. */
  startMember(id: string, batch: Fill, result: () => Filled): void {
    const { fill, resolve, reject } = this.#register(id, null)
    fill.waitsFor.add(batch)
    const end = (): void => this.#forget(fill)
    batch.done.then(result).finally(end).then(resolve, reject)
  }

  #register(id: string, parent: Fill | null): PromiseWithResolvers<Filled> & { readonly fill: Fill } {
    const resolvers = Promise.withResolvers<Filled>()
    // Whoever waits for it gets the error; nobody may.
    resolvers.promise.catch(() => undefined)
    this.begun += 1
    const fill: Fill = {
      id,
      parent,
      waitsFor: new Set(),
      done: resolvers.promise,
      number: this.begun,
      joined: 0,
    }
    if (!this.#running.has(id)) this.#running.set(id, fill)
    return { ...resolvers, fill }
  }

  #forget(fill: Fill): void {
    if (this.#running.get(fill.id) === fill) this.#running.delete(fill.id)
  }

  async #run(fill: Fill, load: (fill: Fill) => Promise<Filled>): Promise<Filled> {
    // Those who joined must not hang on a load that never ends.
    const bounded = (): Promise<Filled> => withDeadline(load(fill), this.#limits.loadMs, `the load of ${fill.id}`)
    try {
      // A load that is part of another has its place: to wait for one could last for ever.
      return fill.parent === null ? await this.#inPlace(bounded) : await bounded()
    } finally {
      this.#forget(fill)
      fill.parent?.waitsFor.delete(fill)
    }
  }

  async #inPlace(load: () => Promise<Filled>): Promise<Filled> {
    this.#refuseWhileOpen()
    if (this.#places > 0) this.#places -= 1
    else await this.#wait()
    try {
      const filled = await load()
      this.#failures = 0
      return filled
    } catch (error) {
      this.#judge(error)
      throw error
    } finally {
      const next = this.#queue.shift()
      if (next === undefined) this.#places += 1
      else next()
    }
  }

  #wait(): Promise<void> {
    const { waiting, waitMs } = this.#limits
    if (this.#queue.length >= waiting) throw busy(`${waiting} loads are waiting already`)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#queue.splice(this.#queue.indexOf(begin), 1)
        reject(busy(`no place became free within ${waitMs} ms`))
      }, waitMs)
      const begin = (): void => {
        clearTimeout(timer)
        resolve()
      }
      this.#queue.push(begin)
    })
  }

  /** Only what says that the database cannot serve counts, not a mistake in a load. */
  #judge(error: unknown): void {
    if (!isFourfoldError(error) || !error.retryable || error.code === 'FF_CACHE_BUSY') return
    this.#failures += 1
    if (this.#failures >= failuresToOpen) this.#openUntilMs = this.#limits.nowMs() + openMs
  }

  /** When the time is over one load at a time shows whether the database is back. */
  #refuseWhileOpen(): void {
    if (this.#failures < failuresToOpen) return
    if (this.#limits.nowMs() < this.#openUntilMs) throw busy(`the database failed ${this.#failures} loads in a row`)
    this.#openUntilMs = this.#limits.nowMs() + openMs
  }
}

function reaches(from: Fill, to: Fill, seen: Set<Fill>): boolean {
  if (from === to) return true
  if (seen.has(from)) return false
  seen.add(from)
  for (const next of from.waitsFor) if (reaches(next, to, seen)) return true
  return false
}

/** A load of its own that nobody joins, as part of another. @throws FF_CACHE_CYCLE */
export function loneFill(id: string, parent: Fill | null): Fill {
  refuseCycle(parent, id)
  return { ...standIn, id, parent, waitsFor: new Set() }
}

const standIn = { done: Promise.resolve({ value: null, entry: null }), number: 0, joined: 0 }

/** What stands for several loads while one batch is loaded for all of them: they wait for it. */
export function gateFill(behind: readonly Fill[]): Fill {
  const id = `${behind[0]!.id} and ${behind.length - 1} more`
  return { ...standIn, id, parent: null, behind, waitsFor: new Set() }
}

/** Whether a load is part of one that is part of several. */
export function isBehindGate(fill: Fill): boolean {
  for (let at: Fill | null = fill; at !== null; at = at.parent) if (at.behind !== undefined) return true
  return false
}

function refuseCycle(parent: Fill | null, id: string): void {
  const chain = parent && chainTo(id, parent, new Set())
  if (chain === null) return
  const message = `A cached object uses itself: ${[...chain, id].join(' -> ')}. Load what both need in an object of its own`
  throw new FourfoldError('FF_CACHE_CYCLE', message, { fields: { chain: [...chain, id] } })
}

/** From the load of that id down to this one, which is part of it; null where it is not. */
function chainTo(id: string, from: Fill, seen: Set<Fill>): string[] | null {
  if (from.id === id) return [id]
  if (seen.has(from)) return null
  seen.add(from)
  for (const above of from.behind ?? (from.parent === null ? [] : [from.parent])) {
    const chain = chainTo(id, above, seen)
    if (chain !== null) return [...chain, from.id]
  }
  return null
}

function busy(why: string): FourfoldError {
  return new FourfoldError('FF_CACHE_BUSY', `A cached value could not be loaded now: ${why}`)
}
