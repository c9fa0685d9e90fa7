/**
 * Hits of several keys in the in-process tier: those that need nobody to be asked, found the shortest way first. What
 * the reader needs is asked for once, not for each key.
 */

import { canonicalKey, ownKey, type Key } from './keys.ts'

import type { CacheCore, CountedSource } from './core.ts'
import type { Entry } from './entry.ts'
import type { QuickScope } from './quick-hits.ts'
import type { CacheStatus } from './status.ts'
import type { Scope } from '../freshness/scope.ts'

export class HeldHits {
  /** In the order of the keys, where they were found. */
  readonly values: unknown[]
  /** A copy: whoever asked may use their array for something else before it is answered. */
  readonly keys: readonly Key[]
  readonly #core: CacheCore
  readonly #scope: Scope
  readonly #source: CountedSource
  readonly #ids: string[] = []
  #left: number[]
  /** One that only the reader's needs, which are not known yet, decide on. */
  #open: Entry | null = null

  constructor(core: CacheCore, scope: Scope, source: CountedSource, keys: readonly Key[]) {
    this.#core = core
    this.#scope = scope
    this.#source = source
    this.keys = keys.map(ownKey)
    this.values = Array.from({ length: keys.length })
    this.#left = [...keys.keys()]
  }

  /** Where in the keys something is left to find. */
  get left(): readonly number[] {
    return this.#left
  }

  idOf(at: number): string {
    const { prefix, name } = this.#source
    return (this.#ids[at] ??= prefix + canonicalKey(this.keys[at], name))
  }

  async take(quick: QuickScope, status: CacheStatus): Promise<void> {
    this.#takeNow(quick, status)
    if (this.#open === null) return
    await this.#core.checks.ask(this.#open, this.#scope)
    this.#takeNow(quick, status)
  }

  #takeNow(quick: QuickScope, status: CacheStatus): void {
    const source = this.#source
    const nowMs = performance.now()
    const left: number[] = []
    for (const at of this.#left) {
      const key = this.keys[at]!
      const known = source.quick.get(key)
      if (known !== undefined && quick.isFresh(known, nowMs)) {
        this.#core.useQuick(source, key, known)
        status.add(source.name, 'memory', null, known.entry)
        this.values[at] = known.entry.value
      } else if (!this.#takeHeld(at, key, status)) left.push(at)
    }
    this.#left = left
  }

  #takeHeld(at: number, key: Key, status: CacheStatus): boolean {
    const { memory, checks } = this.#core
    const entry = memory.get(this.idOf(at))
    if (entry === undefined) return false
    const verdict = checks.now(entry, this.#scope)
    if (verdict === null) this.#open ??= entry
    if (verdict !== 'fresh') return false
    this.values[at] = this.#core.handOut(this.#source, key, entry)
    status.add(this.#source.name, 'memory', null, entry)
    return true
  }
}
