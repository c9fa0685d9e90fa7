/**
 * Holds plans against the truth: a random query is run, then a random row is changed and the query run again, many
 * times over. Where the answer has changed, what the plan recorded must end by what the tracker tells of the change. And
 * PostgreSQL, which knows the columns that a query reads for its privileges, must let a role run it that may read just
 * those which the plan names.
 */

import pg from 'pg'

import { type Breach, planWith, readsWith } from './breaches.ts'
import { type Change, fill, generateChange, type PrintedRow, printed, schema } from './ground.ts'
import { generateQuery, type QueryParameter } from './queries.ts'
import { Told } from './told.ts'
import { createRandom } from '../front-fuzz/random.ts'
import { sqlState } from '../../../src/engines/postgres/client.ts'
import { loadCatalogue } from '../../../src/engines/postgres/reads/catalogue.ts'
import { type CacheablePlan, loadReadAnalyser } from '../../../src/engines/postgres/reads/plan.ts'

import type { RowRead } from '../../../src/engines/postgres/reads/evaluate.ts'

export interface CheckOptions {
  readonly client: pg.Client
  readonly seed: number
  readonly queries: number
  readonly changesEach: number
  readonly breach?: Breach
  /** The first finding, or query that was denied, ends the run. Default: all queries. */
  readonly stopAtFirst?: boolean
  readonly deadlineMs?: number
}

export interface Finding {
  readonly sql: string
  readonly parameters: readonly QueryParameter[]
  readonly change: Probe
  readonly reads: readonly RowRead[]
}

export interface CheckResult {
  readonly queries: number
  /** The server did not take them: ambiguous names, types that do not fit. */
  readonly rejected: number
  readonly refused: readonly string[]
  /** Queries of which some table was narrowed. */
  readonly narrowed: number
  readonly changes: number
  /** Changes of tables that the query reads. */
  readonly relevant: number
  /** Of these, how many did not end what was recorded: where a cached answer lives on. */
  readonly passed: number
  /** Updates of columns that the plan does not name, of rows that it does. */
  readonly unread: number
  /** Of these, how many ended what was recorded all the same: of a type that is not compared, or by a collision. */
  readonly unreadEnded: number
  /** Queries that read columns which the plan does not name, in PostgreSQL's own books. */
  readonly denied: readonly string[]
  readonly answersChanged: number
  readonly findings: readonly Finding[]
  /** Parameters that the server takes for another type than the plan does. */
  readonly mistyped: readonly string[]
}

/** On an empty database. */
export async function check(options: CheckOptions): Promise<CheckResult> {
  const { client, seed, queries, changesEach, breach } = options
  const random = createRandom(seed)
  await client.query(schema)
  await client.query('set statement_timeout = 5000; set jit = off; set plan_cache_mode = force_generic_plan')
  await client.query(readerRole)
  const [catalogue, analyser] = [await loadCatalogue(client), await loadReadAnalyser()]
  const ownExact = new Set([catalogue.type(null, 'mood')?.oid ?? 0])
  const result = { queries: 0, rejected: 0, narrowed: 0, changes: 0, relevant: 0, passed: 0, answersChanged: 0 }
  const precision = { unread: 0, unreadEnded: 0 }
  const [refused, mistyped, denied, findings]: [string[], string[], string[], Finding[]] = [[], [], [], []]
  const endMs = performance.now() + (options.deadlineMs ?? Number.POSITIVE_INFINITY)
  while (result.queries < queries && performance.now() < endMs) {
    if (result.queries % 20 === 0) await fill(client, random)
    result.queries += 1
    const { sql, parameters } = generateQuery(random)
    const changes = Array.from({ length: changesEach }, () => generateChange(random, sql))
    const plan = planWith(breach, analyser, sql, catalogue)
    const reads = plan.cacheable ? readsWith(breach, plan, parameters) : []
    // Answers alone must catch what names no columns at all.
    const asked = plan.cacheable && breach !== 'no column but the keys is read' ? reads : null
    const probed = await probe(client, sql, parameters, changes, asked)
    if (probed === null) {
      result.rejected += 1
      continue
    }
    if (!plan.cacheable) {
      refused.push(`${plan.reason}: ${sql}`)
      continue
    }
    mistyped.push(...mistypedParameters(plan, probed.types).map((what) => `${what}: ${sql}`))
    if (probed.denied !== null) denied.push(`${probed.denied}: ${sql}`)
    if (reads.some(({ columns }) => columns !== null && columns.length > 0)) result.narrowed += 1
    const told = new Told(reads, ownExact)
    for (const done of probed.probes) {
      const relation = catalogue.relation(null, done.table)
      if (relation === null) throw new Error(`no table ${done.table}`)
      const matched = told.ends(relation, done.before, done.after)
      result.changes += 1
      if (reads.some((read) => read.table === relation.oid)) {
        result.relevant += 1
        if (!matched) result.passed += 1
      }
      if (isUnread(reads, relation.oid, done)) {
        precision.unread += 1
        if (matched) precision.unreadEnded += 1
      }
      if (!done.differs) continue
      result.answersChanged += 1
      if (!matched) findings.push({ sql, parameters, change: done, reads })
    }
    if (options.stopAtFirst === true && findings.length + denied.length > 0) break
  }
  return { ...result, ...precision, refused, findings, mistyped, denied }
}

/** A change that found a row: what the row was, what it is now, and whether the query's answer is another. */
interface Probe extends Change {
  readonly before: PrintedRow | null
  readonly after: PrintedRow | null
  readonly differs: boolean
}

/** Null: the server does not take the query. */
async function probe(
  client: pg.Client,
  sql: string,
  parameters: readonly QueryParameter[],
  changes: readonly Change[],
  reads: readonly RowRead[] | null,
): Promise<{
  readonly probes: readonly Probe[]
  readonly types: readonly string[]
  readonly denied: string | null
} | null> {
  try {
    await client.query(`prepare probed as ${sql}`)
  } catch {
    return null
  }
  try {
    const execution =
      parameters.length === 0 ? 'execute probed' : `execute probed(${parameters.map(quoted).join(', ')})`
    const denied = reads === null ? null : await deniedBy(client, execution, reads)
    const texts = changes.map((one) => one.sql)
    const prepared = await client.query(`select parameter_types::text[] as types from pg_prepared_statements`)
    const { rows } = await client.query('select * from probe($1, $2)', [execution, texts])
    const probes = rows.map((row: { change: number; before: never; after: never; differs: boolean }) => ({
      ...(changes[row.change - 1] as Change),
      before: printed(row.before),
      after: printed(row.after),
      differs: row.differs,
    }))
    return { probes, types: prepared.rows[0]?.types ?? [], denied }
  } catch (error) {
    // A division by zero or the like, at one of the states; or it takes too long.
    return sqlState(error) === null ? Promise.reject(error as Error) : null
  } finally {
    await client.query('deallocate probed')
  }
}

// Views check who asks, so that the tables below them are looked at.
const readerRole = `
do $$ begin if not exists (select from pg_roles where rolname = 'reader') then create role reader; end if; end $$;
alter view a_with_b set (security_invoker = true); alter view a_or_b set (security_invoker = true);
alter view b_by_k set (security_invoker = true);
grant select on a_with_b, a_or_b, b_by_k to reader`

/** Why a role that may read these columns alone may not run the query; null: it may. */
async function deniedBy(client: pg.Client, execution: string, reads: readonly RowRead[]): Promise<string | null> {
  const grants = reads.map(({ name, reads: columns }) => {
    const some = columns === null ? '' : `(${columns.length === 0 ? 'id' : columns.join(', ')})`
    return `grant select ${some} on ${name} to reader`
  })
  try {
    await client.query(['begin', ...grants, 'set local role reader', `explain ${execution}`].join('; '))
    return null
  } catch (error) {
    if (sqlState(error) !== '42501') throw error
    return error instanceof Error ? error.message : String(error)
  } finally {
    await client.query('rollback')
  }
}

const typesOf: Readonly<Record<string, readonly string[]>> = {
  int: ['smallint', 'integer', 'bigint'],
  text: ['text', 'character varying'],
  bool: ['boolean'],
  uuid: ['uuid'],
}

function mistypedParameters(plan: CacheablePlan, types: readonly string[]): readonly string[] {
  const keys = plan.reads.flatMap((read) => read.keys)
  return keys.flatMap(({ family, values }) => {
    const expected = typesOf[family] ?? ['mood']
    return values.flatMap((value) => {
      if (value.kind === 'constant') return []
      const type = types[value.number - 1] ?? ''
      const right = expected.some((one) => type === (value.kind === 'array' ? `${one}[]` : one))
      return right ? [] : [`$${value.number} is ${type}, not ${family}`]
    })
  })
}

/** As the package pg would send it. */
function quoted(value: QueryParameter): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return pg.escapeLiteral(value)
  const elements = value.map((one) => (one === null ? 'NULL' : JSON.stringify(one)))
  return pg.escapeLiteral(`{${elements.join(',')}}`)
}

/** Whether an update changed columns alone that no read names, of a row that one of them does. */
function isUnread(reads: readonly RowRead[], table: number, { before, after }: Probe): boolean {
  if (before === null || after === null) return false
  const changed = Object.keys(after).filter((column) => after[column] !== before[column])
  const found = reads.filter(
    ({ table: read, columns, values }) =>
      read === table &&
      [before, after].some(
        (row) => columns === null || values.some((tuple) => tuple.every((text, at) => row[columns[at] ?? ''] === text)),
      ),
  )
  const isRead = ({ columns, reads: read }: RowRead, name: string): boolean =>
    read === null || read.includes(name) || columns?.includes(name) === true
  return found.length > 0 && changed.length > 0 && changed.every((name) => !found.some((read) => isRead(read, name)))
}

/** For a report: what one has to know to see the fault. */
export function described({ sql, parameters, change: done, reads }: Finding): string {
  const recorded = reads.map(
    ({ name, columns, values, reads: read }) => `${name} ${JSON.stringify([columns, values, read])}`,
  )
  return [sql, JSON.stringify(parameters), done.sql, JSON.stringify([done.before, done.after]), ...recorded].join(
    '\n  ',
  )
}
