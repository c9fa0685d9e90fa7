/**
 * How often the filter takes for changed what has not: entries whose rows nobody touched, asked about after so many
 * changes of other rows. What matters is how many rows changed since an entry was made: rate times age.
 */

import { Filter } from '../../src/freshness/changes/filter.ts'
import { hashRow, templateId } from '../../src/freshness/changes/hash.ts'

import type { createReport } from './report.ts'

const table = 1
const template = templateId(table, ['id'], null)
const entries = 20_000
const ageSeconds = 60

export function measureFalseMisses(report: ReturnType<typeof createReport>, quick: boolean): void {
  for (const bits of [16, 18, 20, 22]) {
    for (const perSecond of [100, 1_000, 10_000]) {
      if (quick && perSecond > 1_000) continue
      const filter = filterAfter(2 ** bits, perSecond * ageSeconds)
      for (const rows of [1, 20]) {
        const metric = `false misses after ${ageSeconds} s of ${perSecond} row changes/s, 2^${bits} slots, ${rows} row${rows > 1 ? 's' : ''} an entry`
        report.add({ contender: 'fourfold', metric, unit: '%', values: [100 * falseShare(filter, rows)] })
      }
    }
  }
}

/** A filter that saw so many rows change, each once, after position 1. */
function filterAfter(slots: number, changes: number): Filter {
  const filter = new Filter(0, slots)
  const coverage = {
    tables: new Map([[table, { since: 0, tracking: 'full' as const }]]),
    templates: new Map([[template, 0]]),
  }
  filter.cover(coverage, 0, 0, 0)
  for (let row = 0; row < changes; row += 1) {
    const hashes = Uint32Array.from(hashRow(template, [String(row)]))
    filter.apply({ to: 2 + row, tables: [table], wide: [], everything: false, hashes })
  }
  return filter
}

function falseShare(filter: Filter, rows: number): number {
  let stale = 0
  for (let entry = 0; entry < entries; entry += 1) {
    const hashes = Array.from({ length: rows }, (_, at) => hashRow(template, [`of nobody ${entry} ${at}`])).flat()
    if (filter.staleness({ tables: [], rows: [{ template, table, hashes }], names: [] }, 1) !== null) stale += 1
  }
  return stale / entries
}
