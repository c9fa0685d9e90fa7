/**
 * Joins in the application: rows of one table, and what belongs to them, fetched for all rows at once. One step for each
 * field on each level, never one for each row.
 *
 * What reads is handed in ({@link JoinExecutor}): the databases of a reader, of a transaction, or those of a load, which
 * record (FRESHNESS rule 26).
 */

import { fetchBelonging, type Selection } from '../../database/rows-by-key.ts'
import { canonicalKey } from '../keys.ts'
import { chunked, distinctKeys, tableKeyText } from './keys.ts'
import { checkFree, checkJoins, joinMistake } from './mistakes.ts'

import type { ObjectDefinition } from '../define-object.ts'
import type { Key } from '../keys.ts'
import type { Join, Joins, ManyOptions, TableRef } from './spec.ts'
import type { Kysely } from 'kysely'

export interface JoinExecutor {
  /** Null: `main`, or the only one. */
  database(name: string | null): Kysely<any>
  getMany(object: ObjectDefinition, keys: readonly Key[]): Promise<readonly unknown[]>
  /** Beyond so many keys there is another statement. */
  readonly keysPerStatement: number
  /** Whether everything runs on one connection, which takes one statement at a time. */
  readonly oneByOne: boolean
}

type Row = Readonly<Record<string, unknown>>

/** What is found for each of some keys, in their order. */
type Found = readonly (readonly unknown[])[]

/** An object's `loadMany` puts its keys into one statement as a rule. */
const objectsAtOnce = 1_000

/** The rows with what belongs to them, in their order. @throws FF_CACHE_JOIN */
export async function joinRows(rows: readonly object[], joins: Joins, executor: JoinExecutor): Promise<object[]> {
  if (!Array.isArray(rows)) throw joinMistake('expected an array of rows')
  checkJoins(joins)
  return await joinChecked(rows as readonly Row[], joins, executor, '')
}

async function joinChecked(rows: readonly Row[], joins: Joins, executor: JoinExecutor, path: string): Promise<Row[]> {
  if (rows.length === 0) return []
  checkFree(rows, joins)
  const fields = Object.entries(joins)
  // Keys first: a mistake in them is told before anything is asked.
  const steps = fields.map(([name, join]) => {
    const keys = rows.map((row) => keyOfRow(row, join, path + name))
    return () => valuesFor(keys, join, executor, path + name)
  })
  const columns = executor.oneByOne ? await inTurn(steps) : await allAtOnce(steps)
  return rows.map((row, at) => {
    const joined: Record<string, unknown> = { ...row }
    for (const [field, [name]] of fields.entries()) setField(joined, name, columns[field]![at])
    return joined
  })
}

function keyOfRow(row: Row, { key }: Join, path: string): unknown {
  if (typeof key === 'function') return key(row)
  if (key in row) return row[key]
  const has = Object.keys(row).join(', ')
  throw joinMistake(`expected rows with the field ${JSON.stringify(key)}, got one with ${has || 'none'}`, path)
}

/** One value for each of the rows' keys. */
async function valuesFor(
  given: readonly unknown[],
  join: Join,
  executor: JoinExecutor,
  field: string,
): Promise<readonly unknown[]> {
  const { kind, target } = join
  const { through } = join.options as ManyOptions
  if (kind === 'many' && target.kind === 'object' && through === undefined) {
    return await listsFor(given, target as ObjectDefinition, executor, field)
  }
  const textOf = keyTextOf(through ?? target)
  const { keys, places } = distinctKeys(given, textOf)
  const found = await findAll(keys, join, executor, field)
  if (kind === 'many') return places.map((place) => (place < 0 ? [] : [...found[place]!]))
  for (const [at, values] of found.entries()) if (values.length > 1) throw severalForOne(keys[at], field)
  return places.map((place) => (place < 0 ? null : (found[place]![0] ?? null)))
}

/** Rows that carry whole arrays of keys. */
async function listsFor(
  given: readonly unknown[],
  object: ObjectDefinition,
  executor: JoinExecutor,
  field: string,
): Promise<readonly unknown[]> {
  const lists = given.map((list): readonly unknown[] => {
    if (Array.isArray(list)) return list
    if (list === null || list === undefined) return []
    throw joinMistake(`expected an array of keys, got ${typeof list}; one key is for one(…)`, field)
  })
  return await regroup(lists, object, executor, (keys) => findObjects(object, keys, executor))
}

/** What all keys of all lists stand for, back in their lists. */
async function regroup(
  lists: readonly (readonly unknown[])[],
  target: ObjectDefinition | TableRef,
  executor: JoinExecutor,
  find: (keys: readonly unknown[], executor: JoinExecutor) => Promise<Found>,
): Promise<unknown[][]> {
  const { keys, places } = distinctKeys(lists.flat(), keyTextOf(target))
  const found = await find(keys, executor)
  let at = 0
  return lists.map((list) =>
    list.flatMap(() => {
      const place = places[at++]!
      return place < 0 ? [] : found[place]!
    }),
  )
}

async function findAll(keys: readonly unknown[], join: Join, executor: JoinExecutor, field: string): Promise<Found> {
  const { target } = join
  const { through, ...selection } = join.options as ManyOptions
  const find = (keys: readonly unknown[]): Promise<Found> =>
    target.kind === 'object'
      ? findObjects(target as ObjectDefinition, keys, executor)
      : findRows(target as TableRef, keys, selection, executor, field)
  if (through === undefined) return await find(keys)
  const links = await fetchGroups(through, keys, { ...through.options, columns: [through.to] }, executor)
  const lists = links.map((group) => group.map((row) => row[through.to]))
  return await regroup(lists, target, executor, find)
}

async function findObjects(object: ObjectDefinition, keys: readonly unknown[], executor: JoinExecutor): Promise<Found> {
  const found: unknown[][] = []
  for (const some of chunked(keys, objectsAtOnce)) {
    for (const value of await executor.getMany(object, some as readonly Key[]))
      found.push(value === null ? [] : [value])
  }
  return found
}

async function findRows(
  ref: TableRef,
  keys: readonly unknown[],
  { join: joins, ...selection }: ManyOptions,
  executor: JoinExecutor,
  field: string,
): Promise<Found> {
  const groups = await fetchGroups(ref, keys, selection, executor)
  if (joins === undefined) return groups
  const joined = await joinChecked(groups.flat(), joins, executor, `${field}.`)
  let at = 0
  return groups.map((group) => group.map(() => joined[at++]!))
}

async function fetchGroups(
  ref: TableRef,
  keys: readonly unknown[],
  selection: Selection,
  executor: JoinExecutor,
): Promise<Row[][]> {
  const groups: Row[][] = keys.map(() => [])
  const database = keys.length === 0 ? null : executor.database(ref.database as string | null)
  let from = 0
  for (const some of chunked(keys, executor.keysPerStatement)) {
    for (const { at, row } of await fetchBelonging(database!, ref, some, selection)) groups[from + at]!.push(row)
    from += some.length
  }
  return groups
}

function keyTextOf(target: ObjectDefinition | TableRef): (key: unknown) => string {
  return target.kind === 'object' ? (key) => canonicalKey(key, target.name) : tableKeyText
}

/** Also where a field is called `__proto__`. */
function setField(row: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== '__proto__') row[name] = value
  else Object.defineProperty(row, name, { value, enumerable: true, configurable: true, writable: true })
}

async function inTurn<T>(steps: readonly (() => Promise<T>)[]): Promise<T[]> {
  const done: T[] = []
  for (const step of steps) done.push(await step())
  return done
}

/** Ends when all have ended: nothing goes on reading for a join that has failed. */
async function allAtOnce<T>(steps: readonly (() => Promise<T>)[]): Promise<T[]> {
  const done = await Promise.allSettled(steps.map((step) => step()))
  return done.map((one) => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}

function severalForOne(key: unknown, field: string): Error {
  return joinMistake(
    `expected one row for the key ${String(key)}, got several: use many(…), or narrow it with where`,
    field,
  )
}
