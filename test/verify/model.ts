/**
 * The freshness model within larger bounds than those of `npm test`: `npm run verify -- model [--quick] [--traces]`.
 * Prints how many states each scenario has, all of them looked at; ends with 1 if one of them is wrong. `--quick` takes
 * the bounds of `npm test`; `--traces` prints what each planted breach leads to.
 */

import { explore, formatTrace } from '../model/explorer.ts'
import { breaches } from '../model/freshness-breaches.ts'
import { caughtIn } from '../model/freshness-caught.ts'
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

/** Whether the breach has a trace, which is printed. */
function printTrace(breach: (typeof breaches)[number]): boolean {
  const [scenario] = caughtIn[breach]
  const { violation } = explore(freshnessModel(scenario, breach))
  console.log(`\n${breach} (${scenario.name})`)
  console.log(violation === null ? 'no trace' : formatTrace(violation))
  return violation !== null
}

const args = process.argv.slice(2)
const chosen = args.includes('--quick') ? scenarios : [...scenarios, ...longScenarios]
const results = chosen.map(check)
if (args.includes('--traces')) results.push(...breaches.map(printTrace))
process.exitCode = results.every(Boolean) ? 0 : 1
