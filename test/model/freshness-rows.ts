/** Which commit changes which row, which rows an entry is made of, and what a log shows of them. */

import type { Context } from './freshness-breaches.ts'
import type { KeyName } from './freshness-state.ts'

/** `P` is made of row y and of the nested entry `K`, which is made of row x. */
export const partsOf: Readonly<Record<KeyName, string>> = { K: 'x', P: 'yK' }
export const rowsOf: Readonly<Record<KeyName, string>> = { K: 'x', P: 'xy' }

const ids = 'abcdef'

/** The name of the commit of a scenario's write. */
export const idOf = (index: number): string => ids[index] ?? '?'

/** The row that a commit changes. */
export function rowOf(id: string, { scenario }: Context): string {
  return scenario.bounds.writes[ids.indexOf(id)]?.row ?? ''
}

/** The commits of these rows that a log shows, as a set: sorted by name. */
export function showRows(log: string, rows: string, context: Context): string {
  let shown = ''
  for (const id of log) if (rows.includes(rowOf(id, context))) shown += id
  return shown.length < 2 ? shown : [...shown].toSorted().join('')
}

/** The commits that either of two values shows. */
export const merge = (left: string, right: string): string => [...new Set(left + right)].toSorted().join('')
