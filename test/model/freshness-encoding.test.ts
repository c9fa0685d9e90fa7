/** The search takes states with one text for one state: a text that is too short would hide states, and violations. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explore } from './explorer.ts'
import { createEncoder } from './freshness-encoding.ts'
import { freshnessModel } from './freshness-protocol.ts'
import { eventual, failoverReplica, lateTable, nested, replicaCrash, twoTiers } from './freshness-scenarios.ts'
import { canStartAgain, isVisibleOfUse } from './freshness-tracker-steps.ts'
import type { Breach } from './freshness-breaches.ts'
import type { Scenario } from './freshness-scenarios.ts'
import type { Budgets, State } from './freshness-state.ts'

/** One of nearly everything, and few of each: what a text keeps does not depend on how much there is. */
const scenarios = [
  replicaCrash,
  small(twoTiers, { fills: 1, drops: 1 }),
  small(twoTiers, { joins: 1 }),
  small(failoverReplica, { crashes: 1 }),
  small(failoverReplica, { restarts: 1, woken: 1, storeLosses: 1 }),
  small(nested, { fills: 1 }),
  small(lateTable, { fills: 1 }),
  small(eventual, { fills: 1, ticks: 1, queries: 1 }),
]

function small({ name, bounds }: Scenario, budgets: Partial<Budgets>): Scenario {
  return { name: `${name}, ${Object.keys(budgets).join(', ')}`, bounds: { ...bounds, inFlight: 1, budgets } }
}

for (const scenario of scenarios) {
  test(`states with the same text are the same: ${scenario.name}`, (t) => {
    t.diagnostic(`${assertExact(scenario, null, createEncoder(scenario))} states`)
  })
}

test('states that only a breach reaches are told apart too', () => {
  const breach = '8: the watermark moves before the filter'
  assertExact(replicaCrash, breach, createEncoder(replicaCrash))
})

test('a text that leaves something out is found', () => {
  const encode = createEncoder(replicaCrash)
  assert.throws(() => assertExact(replicaCrash, null, (state) => encode({ ...state, wrong: '' })), /the same text/)
})

/** Looks at every successor of every state, so also at those that a search would leave out as known. */
function assertExact(scenario: Scenario, breach: Breach | null, encode: (state: State) => string): number {
  const model = freshnessModel(scenario, breach)
  const meanings = new Map<string, string>()
  const note = (state: State): void => {
    const text = encode(state)
    const meaning = JSON.stringify(relevantPart(state, scenario))
    assert.equal(meanings.get(text) ?? meaning, meaning, 'two states have the same text')
    meanings.set(text, meaning)
  }
  const { states } = explore<State>({
    ...model,
    steps: (state) => {
      const steps = model.steps(state)
      for (const { next } of steps.filter((step) => step.next.wrong === '')) {
        note(next)
        // A wrong state that passes for a right one would never be looked at.
        assert.ok(!meanings.has(encode({ ...next, wrong: 'wrong' })), 'two states have the same text')
      }
      return steps
    },
    violation: () => null,
  })
  return states
}

/** What the encoder is meant to keep: all but positions that nobody will ask for any more. */
function relevantPart(state: State, scenario: Scenario): unknown {
  const isVisible = isVisibleOfUse(state, scenario)
  const { primary, tracker, read } = state
  const drop = (key: string, value: unknown): unknown => (key === 'visible' && !isVisible ? 0 : (value ?? null))
  const kept = {
    ...state,
    primary: canStartAgain(state) ? primary : { ...primary, slot: 0 },
    tracker,
    read: read.stage === 'idle' ? { done: read.done, shown: read.shown } : read,
    shared: [state.shared[0], state.shared[1]],
    clones: state.clones.map((clone) => ({ ...clone, entries: [clone.entries[0], clone.entries[1]] })),
  }
  return JSON.parse(JSON.stringify(kept, drop))
}
