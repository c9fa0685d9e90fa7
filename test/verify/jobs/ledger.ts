/** What was ordered, held against what the database has in the end. Only what clients were told and what rows say counts. */

import type pg from 'pg'
import type { Batch } from './orders.ts'

export interface Verdict {
  readonly violations: readonly string[]
  readonly committed: number
  readonly rolledBack: number
  /** Attempts that were begun, beyond one for each job. */
  readonly again: number
}

export async function judge(client: pg.Pool, batches: readonly Batch[], single: readonly number[]): Promise<Verdict> {
  const violations: string[] = []
  const there = new Set((await client.query('select batch from batches')).rows.map(({ batch }) => batch as number))
  const committed = new Set(single)
  const rolledBack = new Set<number>()
  for (const { batch, numbers, end } of batches) {
    if (end === 'committed' && !there.has(batch)) violations.push(`transaction ${batch} was acknowledged and is gone`)
    if (end === 'rolled back' && there.has(batch)) violations.push(`transaction ${batch} was rolled back and is there`)
    for (const n of numbers) (there.has(batch) ? committed : rolledBack).add(n)
  }
  const done = await client.query(
    `select (input->>'n')::int as n, state, token, (output->>'n')::int as said, (output->>'token')::int as by
     from fourfold.finished_jobs where name = 'effect'`,
  )
  const seen = new Set<number>()
  for (const { n, state, token, said, by } of done.rows) {
    if (seen.has(n)) violations.push(`job ${n} was completed twice`)
    seen.add(n)
    if (state !== 'done') violations.push(`job ${n} is ${state}`)
    if (said !== n) violations.push(`job ${n} has the output of ${said}`)
    // Whoever completes it must be the last to have taken it.
    if (by !== token) violations.push(`job ${n} was completed by attempt ${by} when ${token} had it`)
    if (rolledBack.has(n)) violations.push(`job ${n} was rolled back and is done`)
  }
  for (const n of committed) if (!seen.has(n)) violations.push(`job ${n} was committed and is not done`)
  const runs = await client.query('select n, count(*)::int as times from runs group by n')
  let again = 0
  for (const { n, times } of runs.rows) {
    if (rolledBack.has(n)) violations.push(`job ${n} was rolled back and was begun`)
    again += times - 1
  }
  return { violations, committed: committed.size, rolledBack: rolledBack.size, again }
}
