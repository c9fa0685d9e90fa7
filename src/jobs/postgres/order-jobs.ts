/** Orders are inserted; of those with a unique key the ones that meet another like them stand for that one. */

import { FourfoldError } from '../../core/errors.ts'
import { FIND_UNIQUE_SQL, ORDER_ONE_SQL, ORDER_SQL } from './orders.ts'

import type { NewJob, Ordered, RunStatement } from '../engine.ts'

type Row = Readonly<Record<string, any>>

/** Orders that meet others like them which are finished at that moment, each time. */
const mostTries = 10

/** All or none, answered in their order. @param behind a statement to be sent right behind, that nobody waits for */
export async function orderJobs(
  run: RunStatement,
  jobs: readonly NewJob[],
  behind?: string,
  tries: number = mostTries,
): Promise<readonly Ordered[]> {
  const { rows } = await insert(run, jobs, behind)
  if (rows.length === jobs.length) return rows.map(({ id }) => ({ id: id as string, isNew: true }))
  const matched = await match(run, jobs, rows)
  const left = jobs.filter((_, at) => matched[at] === null)
  if (left.length === 0) return matched as readonly Ordered[]
  // They met others like them that were finished between the two statements.
  if (tries === 1) throw busy(left[0]!)
  const again = [...(await orderJobs(run, left, behind, tries - 1))]
  return matched.map((one) => one ?? again.shift()!)
}

const columns = ['name', 'input', 'owner', 'key', 'uniqueKey', 'priority', 'delayMs', 'attempts'] as const

function insert(run: RunStatement, jobs: readonly NewJob[], behind?: string): ReturnType<RunStatement> {
  const [job] = jobs
  if (job !== undefined && jobs.length === 1) {
    const values = columns.map((column) => job[column])
    return run(ORDER_ONE_SQL, values, behind)
  }
  const values = columns.map((column) => jobs.map((one) => one[column]))
  return run(ORDER_SQL, values, behind)
}

/** Some were there already: by their unique keys. Of two alike in one call the first is new. Null: there is none any more. */
async function match(
  run: RunStatement,
  jobs: readonly NewJob[],
  rows: readonly Row[],
): Promise<readonly (Ordered | null)[]> {
  const plain = rows.filter(({ unique_key: key }) => key === null).map(({ id }) => id as string)
  const made = new Map(rows.filter(({ unique_key: key }) => key !== null).map((row) => [nameOf(row), row['id']]))
  const unique = jobs.filter(({ uniqueKey }) => uniqueKey !== null)
  const found = await run(FIND_UNIQUE_SQL, [unique.map(({ name }) => name), unique.map((job) => job.uniqueKey)])
  const there = new Map(found.rows.map((row) => [nameOf(row), row['id'] as string]))
  return jobs.map((job) => {
    if (job.uniqueKey === null) return { id: plain.shift()!, isNew: true }
    const name = nameOf({ name: job.name, unique_key: job.uniqueKey })
    const id = made.get(name) as string | undefined
    made.delete(name)
    if (id !== undefined) return { id, isNew: true }
    const known = there.get(name)
    return known === undefined ? null : { id: known, isNew: false }
  })
}

function busy({ name }: NewJob): FourfoldError {
  const message = `The order of ${name} met others like it that were finished at that moment: order it again`
  return new FourfoldError('FF_JOB_BUSY', message, { fields: { name } })
}

function nameOf({ name, unique_key: key }: Row): string {
  return `${String(name)} ${String(key)}`
}
