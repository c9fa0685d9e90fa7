/** What an entry depends on, and what a commit changed, as keys of the reverse index: where they meet, the entry may be over. */

import type { EntryPart } from '../../freshness/changes/recorder.ts'
import type { CommitChanges } from '../../freshness/changes/message.ts'

/** Different for each database: their rows and tables have nothing to do with each other. */
export function saltOf(database: string): number {
  let hash = 0x9e3779b9
  for (let at = 0; at < database.length; at += 1) hash = Math.imul(hash ^ database.charCodeAt(at), 0x01000193)
  return hash | 0
}

/** What a change of some row of a table means for whoever reads all of it, and what an untold change means for all. */
const anyRow = 0x51ed270b
const untold = 0x2545f491

export function keysOfEntry(parts: readonly EntryPart[], saltFor: (database: string) => number): number[] {
  const keys: number[] = []
  for (const { database, dependencies } of parts) {
    const salt = saltFor(database)
    for (const table of dependencies.tables) keys.push(mix(table, anyRow, salt))
    for (const { table, hashes } of dependencies.rows) {
      keys.push(mix(table, untold, salt))
      addPairs(keys, hashes, salt)
    }
    addPairs(keys, dependencies.names, salt)
  }
  return keys
}

export function keysOfCommit({ tables, wide, hashes }: CommitChanges, salt: number): number[] {
  const keys: number[] = []
  for (const table of tables) keys.push(mix(table, anyRow, salt))
  for (const table of wide) keys.push(mix(table, anyRow, salt), mix(table, untold, salt))
  addPairs(keys, hashes, salt)
  return keys
}

function addPairs(keys: number[], pairs: ArrayLike<number>, salt: number): void {
  for (let at = 0; at + 1 < pairs.length; at += 2) keys.push(mix(pairs[at]!, pairs[at + 1]!, salt))
}

/** MurmurHash3's last step. */
function mix(one: number, two: number, salt: number): number {
  let hash = one ^ Math.imul(two, 0x9e3779b1) ^ salt
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
