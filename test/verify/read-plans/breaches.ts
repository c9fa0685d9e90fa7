/**
 * Breaches of the rules, planted: the plan is made from a text that says something else than the query that is run, or
 * something is taken out of it.
 */

import { evaluateReads, type RowRead } from '../../../src/engines/postgres/reads/evaluate.ts'

import type { Catalogue } from '../../../src/engines/postgres/reads/catalogue.ts'
import type { CacheablePlan, ReadAnalyser, ReadPlan } from '../../../src/engines/postgres/reads/plan.ts'

/** How the text that the plan is made from differs. */
const texts = {
  'an outer join restricts the side that it preserves': (sql: string) =>
    sql.replace(/\b(left|right|full) join/g, 'join'),
  'equalities pass through a LIMIT': (sql: string) => sql.replace(/ order by [\d, ]+ limit \d+( offset 1)?/g, ''),
  'equalities pass through a window': (sql: string) => sql.replace(/ over \(partition by [^)]*\)/g, ''),
  'an OR is taken for an AND': (sql: string) => sql.replaceAll(' or ', ' and '),
  'IS NOT DISTINCT FROM is taken for =': (sql: string) => sql.replaceAll('is not distinct from', '='),
  'NOT is not seen': (sql: string) => sql.replaceAll('not (', '('),
  'NOT IN is taken for IN': (sql: string) => sql.replaceAll(' not in (', ' in ('),
  'a column of ORDER BY is forgotten': (sql: string) => sql.replace(/order by r\d+\.\w+, /g, 'order by '),
  'HAVING is forgotten': (sql: string) => sql.replace(/ having max\([^)]*\) >= '[^']*'/g, ''),
  'USING is forgotten': (sql: string) => sql.replaceAll(' using (k)', ' on true'),
  'NATURAL is forgotten': (sql: string) => sql.replace(/natural (\w+ )?join (\S+( r\d+)?)/g, '$1join $2 on true'),
  'a whole row is forgotten': (sql: string) => sql.replace(/\b(?:r\d+|row\(r\d+\.\*\))::text/g, `'x'`),
  'GROUP BY takes a name from the answer': (sql: string) =>
    sql.replace(/ group by (?!r\d|o\d|\d|rollup)\w+/g, ' group by 1'),
  'heirs are forgotten': (sql: string) => sql.replace(/(from|join|\() ?parent /g, '$1 only parent '),
} as const

type TextBreach = keyof typeof texts
export type Breach =
  | TextBreach
  | 'IN drops its last value'
  | 'only the first reference to a table counts'
  | 'values are not made canonical'
  | 'no column but the keys is read'

export const breachNames: readonly Breach[] = [
  ...(Object.keys(texts) as TextBreach[]),
  'IN drops its last value',
  'only the first reference to a table counts',
  'values are not made canonical',
  'no column but the keys is read',
]

export function planWith(
  breach: Breach | undefined,
  analyser: ReadAnalyser,
  sql: string,
  catalogue: Catalogue,
): ReadPlan {
  const other = breach !== undefined && breach in texts ? texts[breach as TextBreach](sql) : sql
  return analyser.plan(other, catalogue)
}

export function readsWith(
  breach: Breach | undefined,
  plan: CacheablePlan,
  parameters: readonly unknown[],
): readonly RowRead[] {
  const reads = evaluateReads(plan, parameters)
  switch (breach) {
    case 'IN drops its last value':
      return reads.map((read) => (read.values.length > 1 ? { ...read, values: read.values.slice(0, -1) } : read))
    case 'only the first reference to a table counts':
      return reads.filter((read, at) => reads.findIndex(({ table }) => table === read.table) === at)
    case 'values are not made canonical':
      return reads.map((read) => ({
        ...read,
        values: read.values.map((tuple) =>
          tuple.map((text) => (parameters.includes(`+0${text}`) ? `+0${text}` : text)),
        ),
      }))
    case 'no column but the keys is read':
      return reads.map((read) => ({ ...read, reads: read.reads === null ? null : [] }))
    default:
      return reads
  }
}
