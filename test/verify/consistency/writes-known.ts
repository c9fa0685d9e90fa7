/**
 * What a history tells of its writes up to now: which have begun, what they left, what may be there although nobody was
 * told. Reads are held against it.
 */

import { Ceilings } from './ceiling.ts'

import type { BeginLine, Item, WriteLine } from './history.ts'

interface Row {
  /** Each version has one stamp. */
  readonly stamps: Map<number, string>
  /** Versions at which the row was removed, ascending in the order of their ends. */
  readonly removals: number[]
  /** Writes that have begun and have not ended, or whose end nobody knows. */
  open: number
  /** The same, of those that may have removed the row. */
  openRemovals: number
}

export class WritesKnown {
  /** By session and key. */
  readonly own: Ceilings = new Ceilings()
  /** By key: acknowledged to anybody. */
  readonly acknowledged: Ceilings = new Ceilings()
  readonly #rows = new Map<string, Row>()
  readonly #begun = new Map<string, BeginLine>()
  readonly #ends = new Map<string, WriteLine['outcome']>()
  readonly #undone = new Set<string>()
  /** Acknowledged writes of several rows, by id: for those who see one of them. */
  readonly #together = new Map<string, ReadonlyMap<string, number>>()

  begin(line: BeginLine): void {
    this.#begun.set(line.id, line)
    for (const key of line.keys) this.#count(key, line, 1)
  }

  /** Takes a write's end. Answers what is wrong with it, or null. */
  end(line: WriteLine): string | null {
    const begun = this.#begun.get(line.id)
    if (begun === undefined) return `the write ${line.id} ended without having begun`
    this.#ends.set(line.id, line.outcome)
    for (const stamp of line.undone) this.#undone.add(stamp)
    // One whose end nobody knows may happen at any time.
    if (line.outcome === 'unknown') return null
    for (const key of begun.keys) this.#count(key, begun, -1)
    if (line.outcome === 'rolled back') return null
    if (line.items.length > 1) this.#together.set(line.id, new Map(line.items.map((item) => [item.key, item.version!])))
    return this.#acknowledge(line)
  }

  /** Why nobody may have seen a stamp, or null. */
  refusal(stamp: string): string | null {
    if (stamp === initialStamp) return null
    const id = idOf(stamp)
    if (!this.#begun.has(id)) return `nobody has written ${stamp}`
    if (this.#undone.has(stamp)) return `${stamp} was undone before its commit`
    return this.#ends.get(id) === 'rolled back' ? `${stamp} was rolled back` : null
  }

  /** Whether a write's outcome is still to come. */
  isOpen(stamp: string): boolean {
    return stamp !== initialStamp && !this.#ends.has(idOf(stamp))
  }

  /** What else of the same commit must be seen by who sees this row of it. */
  togetherWith({ stamp }: Item): ReadonlyMap<string, number> | null {
    return this.#together.get(idOf(stamp)) ?? null
  }

  /** Notes what a version holds. Answers what else it was said to hold, or null. */
  contradiction({ key, version, stamp }: Item): string | null {
    if (version === null || stamp === '') return null
    const { stamps } = this.#row(key)
    const known = stamps.get(version)
    if (known === undefined) stamps.set(version, stamp)
    return known === undefined || known === stamp ? null : known
  }

  /**
   * The least version of a removal that explains why a row is not there for a reader who must see at least this version;
   * Infinity where some removal, of which no version is known, may explain it; null where none does.
   */
  removalSince(key: string, least: number): number | null {
    const row = this.#row(key)
    const known = row.removals.filter((version) => version >= least)
    if (row.openRemovals > 0) return Infinity
    return known.length === 0 ? null : Math.min(...known)
  }

  /** The greatest version that a row can have by now. */
  greatest(key: string): number {
    return Math.max(0, this.acknowledged.of(key).newest) + this.#row(key).open
  }

  #acknowledge(line: WriteLine): string | null {
    for (const item of line.items) {
      const { key, version, gone = false } = item
      if (version === null) continue
      const known = this.contradiction(gone ? { ...item, stamp: `${line.id} (removal)` } : item)
      if (known !== null) return `version ${version} of ${key} is of ${known} and of ${line.id}: one of them is lost`
      if (gone) this.#row(key).removals.push(version)
      this.own.of(`${line.session} ${key}`).raise(line.returned, version)
      this.acknowledged.of(key).raise(line.returned, version)
    }
    return null
  }

  #count(key: string, { removes }: BeginLine, by: 1 | -1): void {
    const row = this.#row(key)
    row.open += by
    if (removes) row.openRemovals += by
  }

  #row(key: string): Row {
    let row = this.#rows.get(key)
    if (row === undefined) {
      row = { stamps: new Map(), removals: [], open: 0, openRemovals: 0 }
      this.#rows.set(key, row)
    }
    return row
  }
}

/** What rows hold that nobody has written yet. */
export const initialStamp = 'initial'

function idOf(stamp: string): string {
  return stamp.split('.')[0] ?? ''
}
