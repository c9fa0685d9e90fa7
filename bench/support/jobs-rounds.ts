/** Contenders take turns within each round, the order turned by one each time, so that a slow moment falls on all alike. */

import type { Contender } from './jobs-ground.ts'
import type { Goal, Report } from './report.ts'

export type Values = Map<string, number[]>

export async function inRounds(
  contenders: readonly Contender[],
  rounds: number,
  turn: (contender: Contender, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const at of contenders.keys()) await turn(contenders[(at + round) % contenders.length]!, round)
  }
}

export function keep(values: Values, name: string, value: number): void {
  const known = values.get(name)
  if (known === undefined) values.set(name, [value])
  else known.push(value)
}

export function addValues(report: Report, metric: string, unit: string, values: Values): void {
  for (const [contender, each] of values) report.add({ contender, metric, unit, values: each })
}

/** Ours against one peer, round by round. */
export function addTimes(
  report: Report,
  metric: string,
  { ours, theirs }: { readonly ours: readonly number[]; readonly theirs: readonly number[] },
  goal?: Goal,
): void {
  const values = ours.map((value, round) => value / (theirs[round] ?? Number.NaN))
  report.add({ contender: 'fourfold', metric, unit: 'times', values, ...(goal !== undefined && { goal }) })
}

/** The value below which such a part of them lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN
}
