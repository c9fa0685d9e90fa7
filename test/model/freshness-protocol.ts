/**
 * The freshness protocol with its change stream, filter, caches and levels as one state machine, whose parts are in
 * the files beside this one. A scenario sets its bounds, and a planted breach is one thing done wrong.
 *
 * Once every read of a scenario is answered nothing more is looked at: a read changes nothing but later reads, so the
 * states that follow are also reached without it, and looked at there.
 */

import { createContext, type Breach, type Context } from './freshness-breaches.ts'
import { foreverViolation } from './freshness-checks.ts'
import { createEncoder } from './freshness-encoding.ts'
import { fillSteps } from './freshness-fill-steps.ts'
import { readSteps } from './freshness-read-steps.ts'
import { receiverSteps } from './freshness-receiver-steps.ts'
import * as servers from './freshness-server-steps.ts'
import { initialState, type State } from './freshness-state.ts'
import { trackerSteps } from './freshness-tracker-steps.ts'
import { writeSteps } from './freshness-write-steps.ts'
import type { Model, Step } from './explorer.ts'
import type { Scenario } from './freshness-scenarios.ts'

export function freshnessModel(scenario: Scenario, planted: Breach | null): Model<State> {
  const context = createContext(scenario, planted)
  return {
    initial: initialState(scenario),
    encode: createEncoder(scenario),
    steps: (state) => allSteps(state, context),
    violation: (state) => (state.wrong === '' ? foreverViolation(state, context) : state.wrong),
  }
}

function allSteps(state: State, context: Context): Step<State>[] {
  const { reads } = context.scenario.bounds
  if (reads.length > 0 && state.read.done === reads.length) return []
  return [
    ...writeSteps(state, context),
    ...servers.crashSteps(state),
    ...servers.replicaSteps(state),
    ...servers.replicaCrashSteps(state, context),
    ...servers.storeSteps(state),
    ...servers.tokenDropSteps(state, context),
    ...servers.timeSteps(state, context),
    ...trackerSteps(state, context),
    ...receiverSteps(state, context),
    ...fillSteps(state, context),
    ...readSteps(state, context),
  ]
}
