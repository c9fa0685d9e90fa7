/**
 * What is joined with what: plain values, free of connections, whose types carry the names they mention, so that a join
 * can be checked against rows and schema where it is used.
 */

import type { ScalarKey } from '../keys.ts'
import type { ObjectDefinition } from '../define-object.ts'
import type { OrderBy, Where } from '../../database/rows-by-key.ts'

/** A table, and the column that keys are looked up in. */
export interface TableRef<Name extends string = string, Column extends string = string, In = unknown> {
  readonly kind: 'table'
  readonly name: Name
  readonly column: Column
  /** The database's name in the app; null: `main`, or the app's only one. */
  readonly database: In
}

/** A table that stands between two others: rows whose `column` is the key lead to what their `to` stands for. */
export interface TableLink<
  Name extends string = string,
  Column extends string = string,
  To extends string = string,
  In = unknown,
> extends TableRef<Name, Column, In> {
  readonly to: To
  readonly options: LinkOptions
}

export interface TableOptions<Database extends string = string> {
  /** The database's name in the app. Default: `main`, or the app's only one. */
  readonly database?: Database
}

export interface LinkOptions extends TableOptions {
  readonly where?: Where
  readonly orderBy?: OrderBy
  /** The most for each row; needs `orderBy`. */
  readonly limit?: number
}

export type JoinTarget = ObjectDefinition | TableRef

export interface OneOptions {
  /** Of a table: only these. Default: all. */
  readonly columns?: readonly string[]
  /** Of a table. */
  readonly where?: Where
  /** Of a table: more joins, for what was found. */
  readonly join?: Joins
}

export interface ManyOptions extends OneOptions {
  /** Of a table: the order of what belongs to one row. */
  readonly orderBy?: OrderBy
  /** Of a table: the most for each row; needs `orderBy`. */
  readonly limit?: number
  /** The table between. Its own options stand in it. */
  readonly through?: TableLink
}

/** One field of a join. */
export interface Join<Row = any, Target = any, By = any, Options = ManyOptions> {
  readonly kind: 'one' | 'many'
  readonly target: Target
  /** The name of the rows' field that is the key, or a function of a row. */
  readonly key: By
  readonly options: Options
  /** Only a type: the rows that its function takes. */
  readonly rows?: (row: Row) => void
}

export interface One<Row, Target, By, Options> extends Join<Row, Target, By, Options> {
  readonly kind: 'one'
}

export interface Many<Row, Target, By, Options> extends Join<Row, Target, By, Options> {
  readonly kind: 'many'
}

/** Joined fields by name. */
export type Joins<Row = any> = Readonly<Record<string, Join<Row>>>

type Absent = null | undefined

/** What a key may be for a target; tables are asked by whatever the database can compare. */
export type KeyFor<Target> = Target extends ObjectDefinition<infer K> ? K | Absent : ScalarKey | Uint8Array | Absent

/** @param column what keys are compared with */
export function table<const Name extends string, const Column extends string, const In extends string | null = null>(
  name: Name,
  column: Column,
  options?: { readonly database?: In },
): TableRef<Name, Column, In>
/** A table between two others: `column` is the key of this side, `to` that of the other. */
export function table<
  const Name extends string,
  const Column extends string,
  const To extends string,
  const In extends string | null = null,
>(
  name: Name,
  column: Column,
  to: To,
  options?: LinkOptions & { readonly database?: In },
): TableLink<Name, Column, To, In>
export function table(
  name: string,
  column: string,
  third?: string | TableOptions,
  fourth: LinkOptions = {},
): TableRef | TableLink {
  const options = typeof third === 'string' ? fourth : (third ?? {})
  const made = { kind: 'table' as const, name, column, database: options.database ?? null }
  return Object.freeze(typeof third === 'string' ? { ...made, to: third, options: fourth } : made)
}

/**
 * The one thing that a row's key stands for, or null: a cached object, or the row of a table.
 *
 * ```ts
 * one(profile, 'author_id')
 * one(table('profiles', 'id'), (row) => row.authorId, { columns: ['id', 'name'] })
 * ```
 */
export function one<
  Row,
  Target extends JoinTarget,
  const By extends string | ((row: Row) => KeyFor<Target>),
  const Options extends OneOptions = OneOptions,
>(target: Target, key: By, options?: Options): One<Row, Target, By, Options> {
  return Object.freeze({ kind: 'one' as const, target, key, options: options ?? ({} as Options) })
}

/**
 * All that a row's key stands for: rows of a table, the objects of an array of keys, or what a table between leads to.
 *
 * ```ts
 * many(table('comments', 'article_id'), 'id', { orderBy: { created_at: 'desc' }, limit: 3 })
 * many(tag, 'id', { through: table('article_tags', 'article_id', 'tag_id') })
 * ```
 */
export function many<
  Row,
  Target extends JoinTarget,
  const By extends string | ((row: Row) => KeyFor<Target> | readonly KeyFor<Target>[]),
  const Options extends ManyOptions = ManyOptions,
>(target: Target, key: By, options?: Options): Many<Row, Target, By, Options> {
  return Object.freeze({ kind: 'many' as const, target, key, options: options ?? ({} as Options) })
}
