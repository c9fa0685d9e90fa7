/**
 * `npm run verify -- rollout [--quick] [--only main|planted]`: an installed app under a steady load of kept and new
 * connections, GET and POST, while it is rolled out, clones get SIGKILL, and their number changes; then what must not
 * happen, tried one by one; then the same with promises broken on purpose, each of which must be caught.
 *
 * Failed requests are allowed only where a killed clone explains them: a write that it had been sent, or an answer that
 * it had begun. They are counted.
 */

import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { createReport } from '../../bench/support/report.ts'
import { acts } from './rollout/acts.ts'
import { caughtBy, plantedCampaigns, plants, plantVariable, type Plant } from './rollout/plants.ts'
import { breaches, runScene, startScene, type Outcome } from './rollout/scene.ts'
import { makeDirectory } from '../support/postgres.ts'

import type { Campaign } from './rollout/campaign.ts'
import type { Sent } from './rollout/load.ts'
import type { System } from './rollout/system.ts'

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
})
const campaign: Campaign = flags.quick ? { rollouts: 3, kills: 3, scales: 3 } : { rollouts: 10, kills: 10, scales: 10 }
const readers = flags.quick ? 12 : 18
const contender = 'fourfold'

const report = createReport({ name: 'rollout', command: `npm run verify -- rollout${flags.quick ? ' --quick' : ''}` })
const begunMs = performance.now()
const note = (what: string): void =>
  console.log(`${((performance.now() - begunMs) / 1000).toFixed(1).padStart(6)} s  ${what}`)

const endings: (() => Promise<void>)[] = []
let running: System | null = null
let ending: Promise<void> | null = null
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void end().then(() => process.exit(130)))
const directory = await makeDirectory({ after: (one: () => Promise<void>): unknown => endings.push(one) }, 'rollout-')

try {
  let sound = true
  if (flags.only !== 'planted') sound = await verify()
  if (flags.only !== 'main') sound = (await catchAll()) && sound
  report.add({ contender, metric: 'whole run', unit: 's', values: [(performance.now() - begunMs) / 1000] })
  process.exitCode = report.finish() && sound ? 0 : 1
} finally {
  await end()
}

async function verify(): Promise<boolean> {
  return await withSystem('sound', {}, async (system) => {
    const outcome = await runScene(system, { campaign, readers, note })
    record(outcome)
    let wrong = breaches(outcome)
    for (const act of acts) {
      const found = await act.run(system, 1 + campaign.rollouts)
      note(`${act.name}: ${found.length === 0 ? 'yes' : 'NO'}`)
      wrong = [...wrong, ...found]
    }
    for (const what of wrong) console.log(`BROKEN ${what}`)
    report.add({ contender, metric: 'promises broken', unit: 'findings', values: [wrong.length], goal: { atMost: 0 } })
    return wrong.length === 0
  })
}

async function catchAll(): Promise<boolean> {
  let all = true
  for (const plant of plants) {
    const found = await withSystem(plant, plantedEnv(plant), (system) => provoke(system, plant))
    const caught = found.some((what) => caughtBy[plant].test(what))
    note(
      `planted ${plant}: ${caught ? 'caught' : `NOT CAUGHT${found.length === 0 ? '' : `, but: ${found.join('; ')}`}`}`,
    )
    report.add({
      contender: `planted: ${plant}`,
      metric: 'caught',
      unit: 'of 1',
      values: [caught ? 1 : 0],
      goal: { atLeast: 1 },
    })
    all &&= caught
  }
  return all
}

async function provoke(system: System, plant: Plant): Promise<string[]> {
  if (plant === 'lying-clone') return (await acts[0]?.run(system, 1)) ?? []
  return breaches(await runScene(system, { campaign: plantedCampaigns[plant], readers: 18, note: () => undefined }))
}

function plantedEnv(plant: Plant): Record<string, string> {
  const file = new URL('rollout/plants.ts', import.meta.url).href
  return { [plantVariable]: plant, NODE_OPTIONS: `--import=${file}` }
}

async function withSystem<T>(
  name: string,
  env: Record<string, string>,
  work: (system: System) => Promise<T>,
): Promise<T> {
  const system = await startScene({ directory: join(directory, name), env })
  running = system
  note(`${name}: started`)
  try {
    return await work(system)
  } finally {
    running = null
    await system.stop()
  }
}

function record({ findings, course }: Outcome): void {
  const add = (metric: string, unit: string, value: number, goal?: { atMost: number } | { atLeast: number }): void =>
    report.add({ contender, metric, unit, values: [value], ...(goal === undefined ? {} : { goal }) })
  add('rollouts', 'rollouts', course.done.rollouts, { atLeast: campaign.rollouts })
  add('clones killed', 'clones', course.done.kills, { atLeast: campaign.kills })
  add('changes of the number of clones', 'changes', course.done.scales, { atLeast: campaign.scales })
  add('requests', 'requests', findings.requests)
  add('failed, not explained', 'requests', findings.unexplained.length, { atMost: 0 })
  for (const kind of ['write answered 502', 'write reset', 'answer broken off'] as const) {
    const those = findings.explained.filter((one) => kindOf(one) === kind)
    add(`failed, explained by a kill: ${kind}`, 'requests', those.length)
  }
  add('writes carried out twice', 'writes', findings.duplicated.length, { atMost: 0 })
  add('acknowledged writes lost', 'writes', findings.lost.length, { atMost: 0 })
  add('readers that went back a build', 'answers', findings.backward.length, { atMost: 0 })
  add('answers of a build not admitted', 'answers', findings.foreign.length, { atMost: 0 })
}

function kindOf({ status, method }: Sent): 'write answered 502' | 'write reset' | 'answer broken off' {
  if (status === 200) return 'answer broken off'
  return method === 'POST' && status === 502 ? 'write answered 502' : 'write reset'
}

/** Stops everything, once, whoever asks. */
function end(): Promise<void> {
  ending ??= (async () => {
    await running?.stop()
    for (const one of endings) await one()
  })()
  return ending
}
