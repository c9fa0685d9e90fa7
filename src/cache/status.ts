/**
 * What the cache did for one instance (a request, mostly), in the words of RFC 9211: the field `Cache-Status`.
 *
 * Names of objects are told, keys are not: they may be somebody's.
 */

import type { Entry, MissReason } from './entry.ts'
import type { From } from './lookups.ts'

interface LookUp {
  readonly name: string
  readonly from: From
  readonly missed: MissReason | null
  readonly entry: StatusEntry
}

type StatusEntry = Pick<Entry, 'parts'> | null

/** More of them would make a header that intermediaries refuse. */
const maxTold = 20

export class CacheStatus {
  readonly #lookUps: LookUp[] = []
  #untold = 0

  /**
   * @param name the object's, or `query`
   * @param missed why nothing before it served
   * @param entry what was served, or made; null where the answer could not be kept
   */
  add(name: string, from: From, missed: MissReason | null, entry: StatusEntry): void {
    if (this.#lookUps.length < maxTold) this.#lookUps.push({ name, from, missed, entry })
    else this.#untold += 1
  }

  /** Empty where nothing was looked up. */
  toString(): string {
    const told = this.#lookUps.map(describe)
    if (this.#untold > 0) told.push(`fourfold; detail="${this.#untold} more"`)
    return told.join(', ')
  }
}

function describe({ name, from, missed, entry }: LookUp): string {
  const detail = from === 'load' ? missed : from
  const source = entry?.parts.some(({ replica }) => replica) ? '; replica' : ''
  return `fourfold; ${outcome(from, missed, entry !== null)}; key="${name}"; detail=${detail}${source}`
}

function outcome(from: From, missed: MissReason | null, stored: boolean): string {
  if (from === 'memory' || from === 'tier' || from === 'previous') return 'hit'
  const forward = missed === 'absent' ? 'miss' : missed === 'database' ? 'bypass' : 'stale'
  return `fwd=${forward}${from === 'joined' ? '; collapsed' : ''}${stored && from === 'load' ? '; stored' : ''}`
}
