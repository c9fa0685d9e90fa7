/** Random histories of a database, as trackers that come and go tell of them. */

import type { Dependencies } from '../../src/freshness/changes/dependencies.ts'
import { hashName, hashRow, hashVersion, templateId } from '../../src/freshness/changes/hash.ts'
import type { ChangeMessage, CommitChanges } from '../../src/freshness/changes/message.ts'

export function random(seed: number): (below: number) => number {
  let state = seed * 2654435761
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) >>> 0
    return (state >>> 8) % below
  }
}

export interface Change {
  readonly to: number
  readonly table: number
  readonly row: number
  readonly kind: 'row' | 'wide' | 'everything'
}

export const tables: readonly number[] = [1, 2]
export const templates: readonly string[] = tables.map((table) => templateId(table, ['id']))

/**
 * Changes of a few rows, between the positions 10 and 200.
 *
 * @param calm so many times more rarely
 */
export function changes(next: (below: number) => number, calm = 1): Change[] {
  const history: Change[] = []
  for (let to = 10; to < 200; to += 1 + next(9 * calm)) {
    const kind = next(20) === 0 ? 'everything' : next(8) === 0 ? 'wide' : 'row'
    history.push({ to, table: tables[next(2)]!, row: next(4), kind })
  }
  return history
}

/** A name that the app touches with every change of certain rows. */
export const touchedName = 'touched'

export function touches({ kind, row }: Change): boolean {
  return kind === 'row' && row === 0
}

/** What an entry might depend on: a row, or any of a table; and a row of the other table. */
export interface Compared {
  readonly table: number
  readonly row: number
  readonly whole: boolean
  readonly asOf: number
  readonly also: boolean
}

export function affects({ to, kind, table, row }: Change, what: Compared): boolean {
  if (to <= what.asOf) return false
  if (kind === 'everything') return true
  const ofRow = kind === 'wide' || row === what.row
  return table === what.table ? what.whole || ofRow : what.also && ofRow
}

export function dependenciesOf({ table, row, whole, also }: Compared): Dependencies {
  const rowOf = (of: number): Dependencies['rows'][number] => {
    const template = templates[of - 1]!
    return { template, table: of, hashes: [...hashRow(template, [String(row)])] }
  }
  const others = also ? [rowOf(3 - table)] : []
  return { tables: whole ? [table] : [], rows: whole ? others : [rowOf(table), ...others], names: [] }
}

/**
 * One tracker's messages from one position to another; what it watches changes on the way.
 *
 * @param calm so many times more rarely
 */
export function tell(
  tracker: string,
  history: readonly Change[],
  begin: number,
  end: number,
  next: (below: number) => number,
  calm = 1,
): ChangeMessage[] {
  const messages: ChangeMessage[] = []
  let watchedTables = new Map<number, number>(calm > 1 ? tables.map((oid) => [oid, begin]) : [[1, begin]])
  let watchedTemplates = new Map<string, number>(calm > 1 ? templates.map((id) => [id, begin]) : [])
  let changed = true
  let name = 0
  for (let from = begin; from < end;) {
    const to = Math.min(end, from + 1 + next(25))
    if (next(3 * calm) === 0) {
      watchedTables = new Map(tables.filter(() => next(5) > 0).map((oid) => [oid, watchedTables.get(oid) ?? from]))
      watchedTemplates = new Map(
        templates
          .filter((id, at) => watchedTables.has(at + 1) && next(3) > 0)
          .map((id) => [id, watchedTemplates.get(id) ?? from]),
      )
      changed = true
      name += 1
    }
    const commits = history
      .filter((change) => change.to > from && change.to <= to)
      .map((change) => commitOf(change, watchedTables, watchedTemplates))
    const coverage = {
      tables: new Map([...watchedTables].map(([oid, since]) => [oid, { since, tracking: 'full' as const }])),
      templates: watchedTemplates,
    }
    const fields = { hashVersion, epoch: 'e', tracker, from, to, visible: from, commits }
    messages.push({ ...fields, coverageId: String(name), coverage: changed || next(2) === 0 ? coverage : null })
    changed = false
    from = to
  }
  return messages
}

function commitOf(
  change: Change,
  watched: ReadonlyMap<number, number>,
  known: ReadonlyMap<string, number>,
): CommitChanges {
  const { to, table, row, kind } = change
  const template = templates[table - 1]!
  const seen = watched.has(table) && kind !== 'everything'
  const hashed = seen && kind === 'row' && known.has(template) ? hashRow(template, [String(row)]) : []
  const touched = touches(change) ? hashName(touchedName) : []
  return {
    to,
    tables: seen ? [table] : [],
    wide: seen && kind === 'wide' ? [table] : [],
    everything: kind === 'everything',
    hashes: Uint32Array.from([...hashed, ...touched]),
  }
}

/** In order on the whole, now and then not: two trackers' messages come mixed. */
export function shuffleALittle(messages: ChangeMessage[], next: (below: number) => number): ChangeMessage[] {
  return messages
    .map((message) => ({ message, at: message.from + next(60) - 30 }))
    .toSorted((one, other) => one.at - other.at)
    .map(({ message }) => message)
}
