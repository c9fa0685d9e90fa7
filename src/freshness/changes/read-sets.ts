/**
 * The sets of columns that a process asks to have watched: a bounded number for each table, since the tracker hashes each
 * changed row under each of them (decision 031).
 */

import type { TemplateId } from './hash.ts'

export const maxReadSetsPerTable = 24
/** A tracker looks at what is asked for several times a second: whoever hears nothing for so long was left out. */
const patienceMs = 10_000

export class ReadSets {
  /** By table: since when each is asked for. */
  readonly #asked = new Map<number, Map<TemplateId, number>>()

  /** Whether to ask for it, or to go on waiting. */
  admits(table: number, template: TemplateId, nowMs: number): boolean {
    let asked = this.#asked.get(table)
    if (asked === undefined) this.#asked.set(table, (asked = new Map()))
    const sinceMs = asked.get(template)
    if (sinceMs !== undefined) return nowMs - sinceMs < patienceMs
    if (asked.size >= maxReadSetsPerTable) return false
    asked.set(template, nowMs)
    return true
  }
}
