/**
 * Loads that began together, for keys of one object that was asked for several: what they need to have loaded at the same
 * time, of an object with a `loadMany`, is loaded as one batch. So an object that is made of others needs no batch of its
 * own. The idea is DataLoader's, with the group in place of a request: loads of different readers never meet in one.
 *
 * Only loads are put together. Each look-up is made for the load that asked, as if that were alone: what it finds, what it
 * may join, what it would wait for in a circle, and how it fails.
 */

import { isFourfoldError } from '../core/errors.ts'

import type { Fill, Filled } from './fills.ts'
import type { Source } from './source.ts'

/** One of several entries that are to be loaded. */
export interface Member<K> {
  readonly key: K
  readonly id: string
  readonly fill: Fill
}

/** Several loads of one object: together, or one of them alone. */
export interface GroupLoads<K> {
  /** In the order of the members. */
  together(members: readonly Member<K>[]): Promise<readonly Filled[]>
  alone(member: Member<K>): Promise<Filled>
}

interface Waiting {
  readonly member: Member<any>
  readonly resolve: (filled: Filled | Promise<Filled>) => void
  readonly reject: (error: unknown) => void
}

interface Gathered {
  readonly loads: GroupLoads<any>
  readonly waiting: Waiting[]
}

export class LoadGroup {
  #gathered = new Map<Source<any>, Gathered>()

  load<K>(source: Source<K>, member: Member<K>, loads: GroupLoads<K>): Promise<Filled> {
    return new Promise((resolve, reject) => {
      const one: Waiting = { member, resolve, reject }
      const others = this.#gathered.get(source)
      if (others !== undefined) return void others.waiting.push(one)
      this.#gathered.set(source, { loads, waiting: [one] })
      // When all loads that were woken up together have said what they need.
      if (this.#gathered.size === 1) void Promise.resolve().then(() => process.nextTick(() => this.#begin()))
    })
  }

  #begin(): void {
    const gathered = this.#gathered
    this.#gathered = new Map()
    for (const one of gathered.values()) void this.#loadAll(one)
  }

  async #loadAll({ loads, waiting: all }: Gathered): Promise<void> {
    const byId = Map.groupBy(all, ({ member }) => member.id)
    // A second load of one entry is there because the first could not be waited for.
    for (const [, ...others] of byId.values()) for (const one of others) one.resolve(loads.alone(one.member))
    const waiting = [...byId.values()].map(([first]) => first!)
    if (waiting.length === 1) return waiting[0]!.resolve(loads.alone(waiting[0]!.member))
    try {
      const filled = await loads.together(waiting.map(({ member }) => member))
      for (const [at, { resolve }] of waiting.entries()) resolve(filled[at]!)
    } catch (error) {
      // One key's failure is not the others'; but a database that cannot serve is not asked once more for each.
      for (const { member, resolve, reject } of waiting) {
        if (isOfAll(error)) reject(error)
        else resolve(loads.alone(member))
      }
    }
  }
}

const ofAll = new Set(['FF_CACHE_BUSY', 'FF_DATABASE_UNAVAILABLE', 'FF_DATABASE_CONNECTION_LOST'])

function isOfAll(error: unknown): boolean {
  return isFourfoldError(error) && ofAll.has(error.code)
}
