/** A cached value as the in-process tier holds it, and why a look-up had to go on. */

import type { Quiet, Staleness } from '../freshness/changes/filter.ts'
import type { EntryPart } from '../freshness/changes/recorder.ts'

export interface Entry {
  readonly value: unknown
  /** One for each database that the value was read from. None: it has a time to live alone. */
  readonly parts: readonly EntryPart[]
  /** Wall clock, ms: for its age, never for freshness. */
  readonly filledAtMs: number
  /** Wall clock, ms; Infinity where it has no time to live. */
  readonly expiresAtMs: number
  /** How long the load took, in ms: what a hit saves. */
  readonly loadMs: number
  /** The last comparison with the changes, where it found none: up to its `at` the value is what the database held. For entries of one database. */
  checked?: Quiet | null
  /** Called when the in-process tier lets go of it. */
  onLeave?: (() => void) | null
}

/** What decides whether an entry is fresh. */
export type Dated = Pick<Entry, 'parts' | 'expiresAtMs' | 'checked'>

/**
 * Why an entry was not used, or none was found: what metrics count and `explain` tells.
 *
 * - `absent`: no tier has it.
 * - `forgotten`: changes were missed since, or tables changed.
 * - `unwatched`: what it read is not, or no longer, watched.
 * - `table`, `wide`, `row`, `name`: what it read has changed.
 * - `epoch`: the database has begun another history since.
 * - `behind`: this process does not know the changes yet that the reader must see.
 * - `database`: only the database may answer this reader: pinned, unsettled, or nothing is known of the changes.
 * - `expired`: its time to live is over.
 * - `replica`: it shows what the primary may not show yet, and the reader is strict.
 */
export type MissReason = Staleness | 'absent' | 'epoch' | 'behind' | 'database' | 'expired' | 'replica'

export type Verdict = 'fresh' | MissReason
