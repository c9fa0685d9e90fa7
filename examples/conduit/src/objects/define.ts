/** Declares cached objects, pages and jobs over Conduit's tables: what they read has the tables' types. */
import { define } from 'fourfold'
import { type RawBuilder, sql } from 'kysely'
import type { Schema } from '../schema.ts'

export const { defineJob, defineObject, definePage } = define<{ main: Schema }>()

/** `column = any(…)`: one parameter and one text of the statement, however many keys there are. */
export function anyOf(keys: readonly number[]): RawBuilder<number> {
  return sql<number>`any(${[...keys]})`
}
