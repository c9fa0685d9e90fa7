/**
 * The freshness model within larger bounds than those of `npm test`: `npm run verify -- model [--quick] [--traces]`.
 * Prints how many states each scenario has, all of them looked at; ends with 1 if one of them is wrong. `--quick` takes
 * the bounds of `npm test`; `--traces` prints what each planted breach leads to.
 */

import { explore, formatTrace } from '../model/explorer.ts'
import { breaches } from '../model/freshness-breaches.ts'
import { longScenarios } from '../model/freshness-long-scenarios.ts'
import { freshnessModel } from '../model/freshness-protocol.ts'
import { scenarios, type Scenario } from '../model/freshness-scenarios.ts'

const maxStates = 10_000_000

/** Whether every state is right. */
function check(scenario: Scenario): boolean {
  const begun = performance.now()
  const { states, violation } = explore(freshnessModel(scenario, null), maxStates)
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  console.log(`${String(states).padStart(9)} states, ${seconds.padStart(6)} s: ${scenario.name}`)
  if (violation !== null) console.log(formatTrace(violation))
  return violation === null
}

/** The shortest trace of all scenarios of `npm test`; false where a breach has none. */
function printTrace(breach: (typeof breaches)[number]): boolean {
  const found = scenarios
    .map((scenario) => ({ scenario, violation: explore(freshnessModel(scenario, breach)).violation }))
    .filter(({ violation }) => violation !== null)
    .toSorted((one, other) => (one.violation?.trace.length ?? 0) - (other.violation?.trace.length ?? 0))
  const [shortest] = found
  console.log(`\n${breach}${shortest === undefined ? ': no trace' : ` (${shortest.scenario.name})`}`)
  if (shortest?.violation) console.log(formatTrace(shortest.violation))
  return shortest !== undefined
}

const args = process.argv.slice(2)
const chosen = args.includes('--quick') ? scenarios : [...scenarios, ...longScenarios]
const results = chosen.map(check)
if (args.includes('--traces')) results.push(...breaches.map(printTrace))
process.exitCode = results.every(Boolean) ? 0 : 1
