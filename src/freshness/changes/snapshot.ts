/**
 * What one process knows of a database's changes, as another can take it over (FRESHNESS rule 16, decision 033).
 *
 * All of it are facts about the database, true whenever they are read: "every change in (since, watermark] has raised
 * these". So a snapshot may be old, may come from anybody and may be taken over more than once; it only has to reach
 * up to where one's own knowledge begins.
 */

import type { TemplateId } from './hash.ts'
import type { Epoch, Lsn } from '../../engines/position.ts'

export interface KnownTable {
  /** From where on its changes are known: never below the floor. */
  readonly since: Lsn
  readonly any: Lsn
  readonly wide: Lsn
}

/** What a filter holds, at one watermark. */
export interface KnownChanges {
  /** All changes in (floor, watermark] are known, but for tables and templates that say otherwise. */
  readonly floor: Lsn
  readonly watermark: Lsn
  readonly slots: number
  readonly tables: ReadonlyMap<number, KnownTable>
  /** From where on their columns are hashed: never below the floor. */
  readonly templates: ReadonlyMap<TemplateId, Lsn>
}

/**
 * The sketch by pieces of {@link slotsPerPiece}, in order; null where none of a piece was ever raised. May be newer than
 * what it comes with, never older: slots only rise.
 */
export type SlotPieces = readonly (Float64Array | null)[]

export interface FilterSnapshot extends KnownChanges {
  readonly epoch: Epoch
  readonly pieces: SlotPieces
}

/** So many are read, encoded and decoded at once: a fraction of a millisecond. */
export const slotsPerPiece: number = 2 ** 16

/**
 * From where on something is known to the one of us who knows more, both up to now. What the other knows ends at
 * `reach`, so it is of use only if one's own knowledge begins no later: else changes in between are known to nobody.
 */
export function joinedSince(mine: Lsn, theirs: Lsn | undefined, reach: Lsn): Lsn {
  return theirs !== undefined && mine <= reach ? Math.min(mine, theirs) : mine
}
