/** Plans of reads over a catalogue that needs no server, written down for comparison: each call registers a test. */

import assert from 'node:assert/strict'
import { before, test } from 'node:test'

import { loadReadAnalyser, type ReadAnalyser, type ReadPlan } from '../../src/engines/postgres/reads/plan.ts'
import { plainCatalogue } from './read-catalogue.ts'

import type { Catalogue } from '../../src/engines/postgres/reads/catalogue.ts'

let analyser: ReadAnalyser
let catalogue: Catalogue
before(async () => {
  analyser = await loadReadAnalyser()
  catalogue = await plainCatalogue()
})

/** In tests alone. */
export function planOf(sql: string): ReadPlan {
  return analyser.plan(sql, catalogue)
}

/** `a(id=$1&t=x,y) b`: a by key, b as a whole, in the order of their names. */
function written(plan: ReadPlan): string {
  if (!plan.cacheable) return `refused: ${plan.reason}`
  const reads = plan.reads.map(({ name, keys }) => {
    const conditions = keys.map(({ column, values }) => {
      const texts = values.map((one) => {
        if (one.kind === 'constant') return String(one.text)
        return one.kind === 'array' ? `$${one.number}[]` : `$${one.number}`
      })
      return `${column}=${texts.join(',')}`
    })
    return `${name.replace('public.', '')}${conditions.length === 0 ? '' : `(${conditions.join('&')})`}`
  })
  return reads.toSorted().join(' ')
}

export function reads(cases: Readonly<Record<string, string>>): void {
  for (const [sql, expected] of Object.entries(cases)) {
    test(`${sql} → ${expected}`, () => assert.equal(written(planOf(sql)), expected))
  }
}

export function volatile(cases: Readonly<Record<string, string | null>>): void {
  for (const [sql, expected] of Object.entries(cases)) {
    test(`${sql} → ${expected}`, () => {
      const plan = planOf(sql)
      assert.equal(plan.cacheable ? plan.volatile : `refused: ${plan.reason}`, expected)
    })
  }
}
