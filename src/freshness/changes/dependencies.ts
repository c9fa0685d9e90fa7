/**
 * What an answer read, in the form in which entries carry it: tables as a whole, rows by key, names that the app
 * touches itself. Plain data, the same in every process, small enough to travel with an entry.
 */

import type { TemplateId } from './hash.ts'

/** Rows of one table under one template. */
export interface RowDependencies {
  readonly template: TemplateId
  /** The oid of the template's table: whose `wide` position goes for these rows too. */
  readonly table: number
  /** Pairs, one behind the other. */
  readonly hashes: readonly number[]
}

export interface Dependencies {
  /** Oids of tables of which any row matters. */
  readonly tables: readonly number[]
  readonly rows: readonly RowDependencies[]
  /** Hashes of names: pairs, one behind the other. */
  readonly names: readonly number[]
}
