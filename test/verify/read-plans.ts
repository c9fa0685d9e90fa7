/**
 * `npm run verify -- read-plans [--quick] [--seed N] [--minutes N]`: what plans record, held against a real PostgreSQL: random
 * queries, random changes of rows, and no answer may change that what was recorded does not match; see
 * `read-plans/check.ts`. Then with breaches planted, each of which must be caught.
 */

import { parseArgs } from 'node:util'

import { createReport } from '../../bench/support/report.ts'
import { breachNames } from './read-plans/breaches.ts'
import { check, type CheckOptions, type CheckResult, described } from './read-plans/check.ts'
import { openGround } from './read-plans/server.ts'

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    minutes: { type: 'string' },
  },
})
const seed = Number(flags.seed)
const mainMs = Number(flags.minutes ?? (flags.quick ? 0.5 : 10)) * 60_000
const breachMs = flags.quick ? 3 * 60_000 : 5 * 60_000
const report = createReport({ name: 'read-plans', command: `npm run verify -- read-plans --seed ${seed}` })

const endings: (() => Promise<void>)[] = []
try {
  process.exitCode = (await verify()) ? 0 : 1
} finally {
  for (const end of endings) await end()
}

async function verify(): Promise<boolean> {
  const ground = await openGround({ after: (end: () => Promise<void>) => endings.push(end) })
  const run = async (options: Omit<CheckOptions, 'client' | 'seed'>): Promise<CheckResult> =>
    await check({ ...options, client: await ground.newDatabase(), seed })
  const found = await run({ queries: Number.POSITIVE_INFINITY, changesEach: 12, deadlineMs: mainMs })
  for (const finding of found.findings.slice(0, 5)) console.log(`MISSED ${described(finding)}`)
  for (const what of found.denied.slice(0, 5)) console.log(`DENIED ${what}`)
  for (const what of found.mistyped.slice(0, 5)) console.log(`MISTYPED ${what}`)
  record(found)
  for (const breach of breachNames) {
    const begunMs = performance.now()
    const limits = { queries: Number.POSITIVE_INFINITY, deadlineMs: breachMs, stopAtFirst: true }
    const { findings, denied, queries } = await run({ ...limits, changesEach: 12, breach })
    const seconds = (performance.now() - begunMs) / 1000
    const by =
      findings.length > 0 ? 'an answer' : denied.length > 0 ? 'the columns that the server says are read' : null
    const outcome = by === null ? 'NOT CAUGHT' : `caught by ${by} of query ${queries}`
    console.log(`planted "${breach}": ${outcome} after ${seconds.toFixed(1)} s`)
    const contender = `planted: ${breach}`
    report.add({
      contender,
      metric: 'caught',
      unit: 'of 1',
      values: [by === null ? 0 : 1],
      goal: { atLeast: 1 },
    })
  }
  return report.finish()
}

function record(found: CheckResult): void {
  const add = (metric: string, unit: string, value: number, goal?: { atMost: number } | { atLeast: number }): void =>
    report.add({ contender: 'fourfold', metric, unit, values: [value], ...(goal === undefined ? {} : { goal }) })
  add('queries', 'queries', found.queries)
  add('queries that the server rejects', 'queries', found.rejected, { atMost: found.queries * 0.3 })
  add('queries refused', 'queries', found.refused.length, { atMost: found.queries * 0.02 })
  add('queries with a narrowed table', 'queries', found.narrowed, { atLeast: found.queries * 0.4 })
  add('changes', 'rows', found.changes)
  add('changes of tables that the query reads', 'rows', found.relevant)
  add('of these, not matched: the entry lives', 'rows', found.passed, { atLeast: found.relevant * 0.1 })
  add('updates of columns that are not read', 'rows', found.unread, { atLeast: found.changes * 0.05 })
  add('of these, ended all the same', 'rows', found.unreadEnded, { atMost: found.unread * 0.01 })
  add('queries that read more columns than recorded, for the server', 'queries', found.denied.length, { atMost: 0 })
  add('answers changed', 'answers', found.answersChanged, { atLeast: found.changes * 0.03 })
  add('parameters of another type than the plan has', 'parameters', found.mistyped.length, { atMost: 0 })
  add('answers changed without a match', 'answers', found.findings.length, { atMost: 0 })
}
