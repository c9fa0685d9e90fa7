/**
 * The freshness protocol holds in every reachable state of the bounded model, and each planted breach is caught, with
 * the property that it breaks. `MODEL_TRACES=1` prints the traces.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explore, formatTrace } from './explorer.ts'
import { breaches, harmless } from './freshness-breaches.ts'
import { caughtIn } from './freshness-caught.ts'
import { freshnessModel } from './freshness-protocol.ts'
import { nested, scenarios, twoClones, type Scenario } from './freshness-scenarios.ts'

for (const scenario of scenarios) {
  test(`every level and every entry is right in every state: ${scenario.name}`, (t) => {
    const { states, violation } = explore(freshnessModel(scenario, null))
    t.diagnostic(`${states} states`)
    assert.equal(violation, null, violation === null ? '' : formatTrace(violation))
    assert.ok(states > 500, 'a model that reaches next to nothing proves nothing')
  })
}

for (const breach of breaches) {
  test(`a planted breach yields its trace: ${breach}`, (t) => {
    const [scenario, property] = caughtIn[breach]
    const { violation } = explore(freshnessModel(scenario, breach))
    assert.ok(violation, 'the breach went unnoticed')
    if (process.env['MODEL_TRACES'] === '1') t.diagnostic(`\n${formatTrace(violation)}`)
    assert.equal(violation.what.slice(0, violation.what.indexOf(':')), property)
  })
}

const toleratedIn: Record<(typeof harmless)[number], Scenario> = {
  '16: a snapshot is loaded before subscribing': twoClones,
  '19: a nested entry counts as of its own asOf': {
    name: 'nested, and only the other row changes',
    bounds: { ...nested.bounds, writes: [{ row: 'y', own: false }], reads: [] },
  },
}

for (const breach of harmless) {
  test(`a breach that costs misses only: ${breach}`, (t) => {
    const { states, violation } = explore(freshnessModel(toleratedIn[breach], breach))
    t.diagnostic(`${states} states`)
    assert.equal(violation, null, violation === null ? '' : formatTrace(violation))
  })
}
