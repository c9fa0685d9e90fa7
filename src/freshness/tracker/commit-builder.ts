/** What one commit changed, while its rows come in. One builder serves all commits, one after the other. */

import type { Lsn } from '../../engines/position.ts'
import type { CommitChanges } from '../changes/message.ts'
import type { HashPair } from '../changes/hash.ts'
import { PairSet } from './pair-set.ts'

/** Above so many different hashes a commit names whole tables: FRESHNESS rule 6. */
export const maxHashesPerCommit = 5000

export class CommitBuilder {
  readonly #tables = new Set<number>()
  readonly #wide = new Set<number>()
  /** Tables of which rows are in `#rows`. */
  readonly #hashed = new Set<number>()
  readonly #rows: PairSet
  readonly #names: PairSet
  #everything = false
  #overflowed = false

  constructor(limit: number = maxHashesPerCommit) {
    this.#rows = new PairSet(limit)
    this.#names = new PairSet(limit)
  }

  changed(table: number): void {
    this.#tables.add(table)
  }

  widen(table: number): void {
    this.#tables.add(table)
    this.#wide.add(table)
  }

  isWide(table: number): boolean {
    return this.#wide.has(table)
  }

  /** A row of a table, under one of its templates. */
  row(table: number, [one, two]: HashPair): void {
    if (this.#wide.has(table)) return
    if (this.#overflowed || !this.#rows.add(one, two)) return this.#overflow(table)
    this.#hashed.add(table)
  }

  /** From here on this commit tells nothing of single rows. */
  #overflow(table: number): void {
    this.#overflowed = true
    for (const hashed of this.#hashed) this.#wide.add(hashed)
    this.#hashed.clear()
    this.#rows.clear()
    this.#wide.add(table)
  }

  /** A name that the app touched. No table stands for names, so too many of them are everything. */
  name([one, two]: HashPair): void {
    if (!this.#names.add(one, two)) this.#everything = true
  }

  all(): void {
    this.#everything = true
  }

  /** Null where nothing changed that anybody could depend on. */
  finish(to: Lsn): CommitChanges | null {
    const rows = this.#rows.copy()
    const names = this.#names.copy()
    const hashes = new Uint32Array(rows.length + names.length)
    hashes.set(rows)
    hashes.set(names, rows.length)
    const found = { to, tables: [...this.#tables], wide: [...this.#wide], everything: this.#everything, hashes }
    this.#reset()
    return found.everything || found.tables.length > 0 || hashes.length > 0 ? found : null
  }

  #reset(): void {
    this.#tables.clear()
    this.#wide.clear()
    this.#hashed.clear()
    this.#rows.clear()
    this.#names.clear()
    this.#everything = false
    this.#overflowed = false
  }
}
