/** From what the checker found to rows of the report, and to whether the run proves anything. */

import { missedFloors, type Floors } from './floors.ts'

import type { Findings } from '../consistency-checker.ts'
import type { Goal, Report } from '../../../bench/support/report.ts'

const contender = 'fourfold'

/** Adds what was found, prints what is wrong, and answers whether nothing is. */
export function judge({ violations, counts }: Findings, report: Report, floors: Floors): boolean {
  const add = (metric: string, unit: string, value: number, goal?: Goal): void =>
    report.add({ contender, metric, unit, values: [value], goal })
  add('violations', 'reads and writes', violations.length, { atMost: 0 })
  const groups = {
    reads: counts.reads,
    'reads by kind': counts.readsByKind,
    'reads by tier': counts.readsByTier,
    'reads by server': counts.readsByServer,
    'reads by clone': counts.readsByClone,
    misses: counts.misses,
    failed: counts.failed,
    writes: counts.writes,
  }
  for (const [group, numbers] of Object.entries(groups)) {
    for (const [name, value] of Object.entries(numbers)) add(`${group}: ${name}`, 'operations', value)
  }
  add('writes rolled back', 'writes', counts.rolledBack)
  add('writes whose end is not known', 'writes', counts.unknown)
  add('slowest read', 'ms', counts.slowestReadMs)
  const { reads, onReplicas } = counts.calmSession
  const share = onReplicas / Math.max(1, reads)
  add('session reads on replicas, steady use', 'fraction', share, { atLeast: floors.replicaShare })
  for (const [tier, { hits, lookUps }] of Object.entries(counts.calmTiers)) {
    add(`hits, steady use, ${tier}`, 'fraction', hits / Math.max(1, lookUps), { atLeast: floors.hitShare })
  }
  for (const [fault, values] of Object.entries(counts.faults)) {
    report.add({ contender: fault, metric: 'works again after', unit: 'ms', values })
  }
  for (const { what, line } of violations.slice(0, 10)) console.log(`VIOLATION ${what}: ${JSON.stringify(line)}`)
  const missed = missedFloors(counts, floors)
  for (const floor of missed) console.log(`FLOOR MISSED ${floor}`)
  return violations.length + missed.length === 0
}
