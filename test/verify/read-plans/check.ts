/**
 * Holds plans against the truth: a random query is run, then a random row is changed and the query run again, many
 * times over. Where the answer has changed, what the plan recorded must match the row as it was or as it is now.
 */

import pg from 'pg'

import { type Breach, planWith, readsWith } from './breaches.ts'
import { type Change, fill, generateChange, type PrintedRow, printed, schema } from './ground.ts'
import { generateQuery, type QueryParameter } from './queries.ts'
import { createRandom } from '../front-fuzz/random.ts'
import { sqlState } from '../../../src/engines/postgres/client.ts'
import { type Catalogue, loadCatalogue } from '../../../src/engines/postgres/reads/catalogue.ts'
import { type CacheablePlan, loadReadAnalyser } from '../../../src/engines/postgres/reads/plan.ts'

import type { RowRead } from '../../../src/engines/postgres/reads/evaluate.ts'

export interface CheckOptions {
  readonly client: pg.Client
  readonly seed: number
  readonly queries: number
  readonly changesEach: number
  readonly breach?: Breach
  /** The first finding ends the run. Default: all queries. */
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
  /** Of these, how many the reads did not match: where a cached answer lives on. */
  readonly passed: number
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
  const [catalogue, analyser] = [await loadCatalogue(client), await loadReadAnalyser()]
  const result = { queries: 0, rejected: 0, narrowed: 0, changes: 0, relevant: 0, passed: 0, answersChanged: 0 }
  const [refused, mistyped, findings]: [string[], string[], Finding[]] = [[], [], []]
  const endMs = performance.now() + (options.deadlineMs ?? Number.POSITIVE_INFINITY)
  while (result.queries < queries && performance.now() < endMs) {
    if (result.queries % 20 === 0) await fill(client, random)
    result.queries += 1
    const { sql, parameters } = generateQuery(random)
    const changes = Array.from({ length: changesEach }, () => generateChange(random, sql))
    const plan = planWith(breach, analyser, sql, catalogue)
    const probed = await probe(client, sql, parameters, changes)
    if (probed === null) {
      result.rejected += 1
      continue
    }
    if (!plan.cacheable) {
      refused.push(`${plan.reason}: ${sql}`)
      continue
    }
    mistyped.push(...mistypedParameters(plan, probed.types).map((what) => `${what}: ${sql}`))
    const reads = readsWith(breach, plan, parameters)
    if (reads.some(({ columns }) => columns !== null)) result.narrowed += 1
    for (const done of probed.probes) {
      const table = oidOf(catalogue, done.table)
      const matched = matches(reads, table, done)
      result.changes += 1
      if (reads.some((read) => read.table === table)) {
        result.relevant += 1
        if (!matched) result.passed += 1
      }
      if (!done.differs) continue
      result.answersChanged += 1
      if (!matched) findings.push({ sql, parameters, change: done, reads })
    }
    if (options.stopAtFirst === true && findings.length > 0) break
  }
  return { ...result, refused, findings, mistyped }
}

function oidOf(catalogue: Catalogue, name: string): number {
  return catalogue.relation(null, name)?.oid ?? 0
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
): Promise<{ readonly probes: readonly Probe[]; readonly types: readonly string[] } | null> {
  try {
    await client.query(`prepare probed as ${sql}`)
  } catch {
    return null
  }
  try {
    const execution =
      parameters.length === 0 ? 'execute probed' : `execute probed(${parameters.map(quoted).join(', ')})`
    const texts = changes.map((one) => one.sql)
    const prepared = await client.query(`select parameter_types::text[] as types from pg_prepared_statements`)
    const { rows } = await client.query('select * from probe($1, $2)', [execution, texts])
    const probes = rows.map((row: { change: number; before: never; after: never; differs: boolean }) => ({
      ...(changes[row.change - 1] as Change),
      before: printed(row.before),
      after: printed(row.after),
      differs: row.differs,
    }))
    return { probes, types: prepared.rows[0]?.types ?? [] }
  } catch (error) {
    // A division by zero or the like, at one of the states; or it takes too long.
    return sqlState(error) === null ? Promise.reject(error as Error) : null
  } finally {
    await client.query('deallocate probed')
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

/** As the tracker would find it: by the table, or by the tuple of the row's values before and after. */
function matches(reads: readonly RowRead[], table: number, { before, after }: Probe): boolean {
  return reads.some(({ table: read, columns, values }) => {
    if (read !== table) return false
    if (columns === null) return true
    return [before, after].some(
      (row) => row !== null && values.some((tuple) => tuple.every((text, at) => row[columns[at] ?? ''] === text)),
    )
  })
}

/** For a report: what one has to know to see the fault. */
export function described({ sql, parameters, change: done, reads }: Finding): string {
  const recorded = reads.map(
    ({ name, columns, values }) => `${name} ${JSON.stringify(columns)} ${JSON.stringify(values)}`,
  )
  return [sql, JSON.stringify(parameters), done.sql, JSON.stringify([done.before, done.after]), ...recorded].join(
    '\n  ',
  )
}
