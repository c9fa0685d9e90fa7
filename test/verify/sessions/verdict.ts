/** From what the checker found to rows of the report, and to whether the run proves anything. */

import { missedFloors } from './floors.ts'
import { levels } from '../../../src/freshness/level.ts'

import type { Findings } from '../sessions-checker.ts'
import type { Goal, Report } from '../../../bench/support/report.ts'

const contender = 'fourfold'

/** Adds what was found, prints what is wrong, and answers whether nothing is. */
export function judge(findings: Findings, report: Report, failedStarts: readonly string[]): boolean {
  const { violations, lostWrites } = findings
  const add = (metric: string, unit: string, value: number, goal?: Goal): void =>
    report.add({ contender, metric, unit, values: [value], goal })
  for (const level of levels) {
    add(`reads at ${level}`, 'reads', findings.reads[level])
    add(`violations at ${level}`, 'reads', violations.filter(({ line }) => line.level === level).length, { atMost: 0 })
  }
  add('writes acknowledged', 'writes', findings.writes)
  add('writes lost', 'writes', lostWrites.length, { atMost: 0 })
  for (const [kind, count] of Object.entries({ 500: 0, ...findings.failed })) {
    // A fault has a documented answer; a bare 500 is a mistake.
    add(`operations that failed: ${kind}`, 'operations', count, kind === '500' ? { atMost: 0 } : undefined)
  }
  add('starts that failed', 'starts', failedStarts.length, { atMost: 0 })
  const share = findings.calmSessionReplicaReads / Math.max(1, findings.calmSessionReads)
  add('session reads on replicas, no fault', 'fraction', share, { atLeast: 0.6 })
  for (const [server, count] of Object.entries(findings.readsByServer)) add(`reads on ${server}`, 'reads', count)
  for (const [fault, values] of Object.entries(findings.faults)) {
    report.add({ contender: fault, metric: 'works again after', unit: 'ms', values })
  }
  return explain(findings, failedStarts)
}

function explain(findings: Findings, failedStarts: readonly string[]): boolean {
  const wrong = [...findings.violations, ...findings.lostWrites]
  for (const { what, line } of wrong.slice(0, 10)) console.log(`VIOLATION ${what}: ${JSON.stringify(line)}`)
  for (const said of failedStarts) console.log(`START FAILED\n${said}`)
  const missed = missedFloors(findings)
  for (const floor of missed) console.log(`FLOOR MISSED ${floor}`)
  return wrong.length + missed.length === 0
}
