/** What is known of an entry: for people who ask why something is, or is not, cached. */

import type { MissReason } from './entry.ts'

export interface Explanation {
  readonly name: string
  /** The entry's name in the tiers. */
  readonly id: string
  /** Null: neither tier has it. */
  readonly tier: 'memory' | 'shared' | null
  /** Whether this reader would be served by it now; why not otherwise. */
  readonly verdict: 'fresh' | MissReason
  /** Milliseconds since it was loaded, by the wall clock of whoever loaded it. */
  readonly ageMs: number | null
  readonly loadMs: number | null
  /** Milliseconds until its time to live is over; null where it has none. */
  readonly expiresInMs: number | null
  readonly parts: readonly ExplainedPart[]
  /** Why the last look-up in this process that found no fresh entry did not. */
  readonly lastMiss: { readonly reason: MissReason; readonly agoMs: number } | null
}

export interface ExplainedPart {
  readonly database: string
  readonly epoch: string
  readonly asOf: number
  /** How far this process knows the database's changes. */
  readonly watermark: number | null
  /** Tables of which any change ends the entry: oids with names where they are known. */
  readonly wholeTables: readonly string[]
  /** Rows that end it. */
  readonly rows: readonly ExplainedRows[]
  /** How many names it depends on (`dependsOn`). */
  readonly names: number
}

export interface ExplainedRows {
  readonly table: string
  /** The columns that tell rows apart; none: all rows of the table. */
  readonly columns: readonly string[]
  /** An update ends it if one of these has changed, or one of `columns`. Null: any may matter, or any does. */
  readonly reads: readonly string[] | null
  readonly keys: number
}
