/** Rows on their way into the database: some thousands in one statement, as one parameter. */
import { type RawBuilder, sql } from 'kysely'

/** Rows as a table, to select from. `columns` names what is taken of each, with its type. */
export function recordset(rows: readonly object[], columns: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`json_to_recordset(${JSON.stringify(rows)}::json) as source (${columns})`
}

export function batches<T>(rows: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, index) =>
    rows.slice(index * size, (index + 1) * size),
  )
}
