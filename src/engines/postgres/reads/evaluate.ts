/** From a plan and the parameters of one execution to the rows that its answer depends on. */

import { canonicalArray, canonicalParameter } from './canonical.ts'
import { clockWord } from './casts.ts'

import type { CacheablePlan, KeyRead, TableRead } from './plan.ts'
import type { Family } from './types.ts'
import type { ValueSource } from './facts.ts'

/** Rows of one table. */
export interface RowRead {
  /** Oid. */
  readonly table: number
  /** `schema.table`, for people. */
  readonly name: string
  /** What its rows are told apart by, in ascending order of their names; none: all of them. Null: the whole table. */
  readonly columns: readonly string[] | null
  /** The columns that are read of these rows, in ascending order; null: any may matter. */
  readonly reads: readonly string[] | null
  /** One tuple of canonical texts for each key, in the order of `columns`. None: no row of the table matters as long as it is defined as it is. */
  readonly values: readonly (readonly string[])[]
}

/** Beyond so many combinations of values, columns are left out. */
const mostTuples = 1_000

export function evaluateReads(plan: CacheablePlan, parameters: readonly unknown[]): readonly RowRead[] {
  return plan.reads.map((read) => evaluateRead(read, parameters))
}

function evaluateRead(read: TableRead, parameters: readonly unknown[]): RowRead {
  const { table, name, keys, reads } = read
  const [only] = keys
  if (only === undefined) return { table, name, ...wholeTable(reads) }
  if (keys.length === 1) {
    const texts = textsOf(only, parameters)
    if (texts === null || texts.length > mostTuples) return { table, name, ...wholeTable(reads) }
    return { table, name, columns: [only.column], values: texts.map((text) => [text]), reads }
  }
  const rows = combinations(keys, parameters)
  return rows === null ? { table, name, ...wholeTable(reads) } : { table, name, ...rows, reads }
}

type Rows = Pick<RowRead, 'columns' | 'values' | 'reads'>

/** As far as it is read: all rows are told apart by nothing, so they have one key. */
function wholeTable(reads: readonly string[] | null): Rows {
  return reads === null ? { columns: null, values: [], reads } : { columns: [], values: [[]], reads }
}

/** Of each column what it is compared with; then every combination. Null: nothing tells the rows apart. */
function combinations(keys: readonly KeyRead[], parameters: readonly unknown[]): Omit<Rows, 'reads'> | null {
  const columns: string[] = []
  const texts: (readonly string[])[] = []
  let tuples = 1
  for (const key of keys) {
    const found = textsOf(key, parameters)
    if (found === null) continue
    columns.push(key.column)
    texts.push(found)
    tuples *= found.length
  }
  while (tuples > mostTuples) {
    const widest = texts.reduce((most, next, at) => (next.length > (texts[most]?.length ?? 0) ? at : most), 0)
    tuples /= texts[widest]?.length ?? 1
    columns.splice(widest, 1)
    texts.splice(widest, 1)
  }
  if (columns.length === 0) return null
  // Nothing equals null, whatever else is asked for.
  if (tuples === 0) return { columns, values: [] }
  if (tuples === 1) return { columns, values: [texts.map((one) => one[0] as string)] }
  return { columns, values: crossed(texts) }
}

function crossed(texts: readonly (readonly string[])[]): readonly (readonly string[])[] {
  let tuples: readonly (readonly string[])[] = [[]]
  for (const column of texts) tuples = tuples.flatMap((tuple) => column.map((text) => [...tuple, text]))
  return tuples
}

/** The values of a column that matter, each once; null: in doubt. */
function textsOf({ family, values }: KeyRead, parameters: readonly unknown[]): readonly string[] | null {
  const [only] = values
  if (only !== undefined && values.length === 1 && only.kind !== 'array') {
    const text = textOf(only, family, parameters)
    if (text === undefined) return null
    return text === null ? [] : [text]
  }
  const found = new Set<string>()
  for (const value of values) {
    const texts = value.kind === 'array' ? arrayOf(value.number, family, parameters) : textOf(value, family, parameters)
    if (texts === undefined) return null
    if (typeof texts === 'string') found.add(texts)
    else for (const text of texts ?? []) found.add(text)
  }
  return [...found]
}

function textOf(
  value: Exclude<ValueSource, { kind: 'array' }>,
  family: Family,
  parameters: readonly unknown[],
): string | null | undefined {
  if (value.kind === 'constant') return value.text
  return value.number > parameters.length ? undefined : canonicalParameter(family, parameters[value.number - 1])
}

function arrayOf(number: number, family: Family, parameters: readonly unknown[]): readonly string[] | null | undefined {
  return number > parameters.length ? undefined : canonicalArray(family, parameters[number - 1])
}

/**
 * Why these parameters make the answer change by itself, or null: `created > $1` with the text `yesterday`. As with
 * `plan.volatile`, such an answer needs a time to live.
 */
export function volatileParameter(plan: CacheablePlan, parameters: readonly unknown[]): string | null {
  for (const number of plan.looseParameters) {
    const reason = clockWordIn(parameters[number - 1])
    if (reason !== null) return reason
  }
  return null
}

function clockWordIn(value: unknown): string | null {
  if (typeof value === 'string') return clockWord(value)
  if (!Array.isArray(value)) return null
  for (const element of value as readonly unknown[]) {
    const reason = clockWordIn(element)
    if (reason !== null) return reason
  }
  return null
}

/**
 * The same rows by fewer columns: those that changes of the table are told apart by. Without any of them it is the
 * whole table.
 */
export function narrowTo(read: RowRead, kept: (column: string) => boolean): RowRead {
  if (read.columns === null || read.columns.every(kept)) return read
  const at = read.columns.flatMap((column, index) => (kept(column) ? [index] : []))
  const { table, name, reads } = read
  if (at.length === 0) return { table, name, ...wholeTable(reads) }
  const tuples = new Map(
    read.values.map((tuple) => at.map((index) => tuple[index] ?? '')).map((tuple) => [JSON.stringify(tuple), tuple]),
  )
  return { table, name, columns: at.map((index) => read.columns?.[index] ?? ''), values: [...tuples.values()], reads }
}
