/** What trackers watch, by the names that they have said it under: most messages carry no more than the name. */

import type { ChangeMessage, Coverage } from './message.ts'

const maxKnown = 100

export class KnownCoverages {
  readonly #byName = new Map<string, Coverage>()

  /** One tracker's names mean nothing with another: the same set may be watched from another position on. */
  of({ tracker, coverage, coverageId }: ChangeMessage): Coverage | null {
    const name = `${tracker} ${coverageId}`
    if (coverage === null) return this.#byName.get(name) ?? null
    this.#byName.set(name, coverage)
    if (this.#byName.size > maxKnown) this.#byName.delete(this.#byName.keys().next().value!)
    return coverage
  }
}
