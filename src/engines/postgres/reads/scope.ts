/**
 * Names in a query: which column of which table reference a name means, by the rules of the server (parse_relation.c):
 * the innermost query that knows the name wins, columns before whole rows.
 *
 * Not all columns of all sources are known (functions, recursive common table expressions). A source like that is
 * `open`: a name that nothing else of its query knows is then its own, of a type that nobody relies on. The server would
 * reject a name that both a known source and the open one have, so a known one is never mistaken.
 *
 * Whatever a name may mean is noted as read here (decision 031): noting too much costs hits, noting too little answers for
 * ever.
 */

import { refuse, refuseUnknown } from './refusal.ts'

import type { Family } from './types.ts'

/** A column of one source of one query; compared by identity. */
export interface Variable {
  /** The number of the source. */
  readonly source: number
  /** Oid, or null where it is not known. */
  readonly type: number | null
  /** Null: comparing it narrows nothing. */
  readonly family: Family | null
  /** Of a table's column: notes that the statement reads it. */
  readonly note?: () => void
}

export interface Column {
  readonly name: string
  readonly variable: Variable
}

export interface Item {
  /** What qualified names call it; null: only unqualified names find its columns. */
  readonly alias: string | null
  /** Of a table without an alias. */
  readonly schema: string | null
  readonly columns: readonly Column[]
  /** What unqualified names find. */
  readonly unqualified: readonly Column[]
  readonly open: boolean
}

export interface Scope {
  readonly outer: Scope | null
  readonly items: readonly Item[]
}

const systemColumns: ReadonlySet<string> = new Set(['ctid', 'xmin', 'xmax', 'cmin', 'cmax', 'tableoid'])

/** The variable that a name stands for; null: one that nothing is known of, or a whole row. Refuses what does not exist. */
export function resolve(scope: Scope, path: readonly string[]): Variable | null {
  const name = path.at(-1) ?? ''
  if (systemColumns.has(name)) refuse(`${name} is a system column`)
  if (path.length === 1) return resolveUnqualified(scope, name)
  const item = findItem(scope, path.slice(0, -1))
  const found = item?.columns.filter((column) => column.name === name) ?? []
  noteAll(found)
  if (found.length === 1) return found[0]?.variable ?? null
  if (found.length > 1 || item?.open === true) return null
  return refuseUnknown(missingColumn(path.join('.')))
}

export function missingColumn(name: string): string {
  return `there is no column ${name} in the catalogue`
}

function resolveUnqualified(scope: Scope, name: string): Variable | null {
  for (let level: Scope | null = scope; level !== null; level = level.outer) {
    const found = level.items.flatMap((item) => item.unqualified.filter((column) => column.name === name))
    noteAll(found)
    if (found.length === 1) return found[0]?.variable ?? null
    if (found.length > 1 || level.items.some((item) => item.open)) {
      noteName(level, name)
      return null
    }
  }
  for (let level: Scope | null = scope; level !== null; level = level.outer) {
    const whole = level.items.filter((item) => item.alias === name)
    for (const { columns } of whole) noteAll(columns)
    if (whole.length > 0) return null
  }
  return refuseUnknown(missingColumn(name))
}

export function noteAll(columns: readonly Column[]): void {
  for (const { variable } of columns) variable.note?.()
}

/** Everything that a name could mean, here or further out: columns, or a whole row. */
export function noteName(scope: Scope, name: string): void {
  for (let level: Scope | null = scope; level !== null; level = level.outer) {
    for (const { alias, columns, unqualified } of level.items) {
      noteAll(alias === name ? columns : unqualified.filter((column) => column.name === name))
    }
  }
}

/** The source that a qualifier means, or null. */
export function findItem(scope: Scope, qualifier: readonly string[]): Item | null {
  const alias = qualifier.at(-1)
  const schema = qualifier.length > 1 ? qualifier.at(-2) : undefined
  for (let level: Scope | null = scope; level !== null; level = level.outer) {
    const found = level.items.filter((item) => item.alias === alias && (schema === undefined || item.schema === schema))
    if (found.length > 0) return found.length === 1 ? (found[0] ?? null) : null
  }
  return null
}
