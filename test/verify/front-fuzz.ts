/**
 * `npm run verify -- front-fuzz [--quick] [--seed N] [--connections N]`: tampered requests against the balancer's front, see
 * `front-fuzz/fuzz.ts`; then the same with faults planted in it, each of which must be noticed.
 */

import { parseArgs } from 'node:util'
import { fuzz, type FuzzOptions, type FuzzResult } from './front-fuzz/fuzz.ts'

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    connections: { type: 'string' },
  },
})
const seed = Number(flags.seed)
const connections = Number(flags.connections ?? (flags.quick ? 1500 : 40_000))
const withinMs = flags.quick ? 20_000 : 15 * 60_000
const plants = ['both lengths', 'answers are crossed', 'refused connections stay open'] as const

let sound = true
for (const nativeParser of [true, false]) {
  const result = await fuzz({ seed, connections, withinMs, nativeParser })
  describe(`${nativeParser ? "Node's parser" : 'undici'}, seed ${seed}`, result)
  if (result.faults.length > 0) sound = false
}
for (const plant of plants) {
  const options: FuzzOptions = { seed, connections: 2000, withinMs: 30_000, plant }
  const { faults } = await fuzz(options)
  console.log(`planted "${plant}": ${faults.length === 0 ? 'NOT NOTICED' : `noticed: ${faults[0]?.slice(0, 160)}`}`)
  if (faults.length === 0) sound = false
}
process.exitCode = sound ? 0 : 1

function describe(what: string, { faults, ...figures }: FuzzResult): void {
  console.log(`${what}: ${JSON.stringify(figures)}`)
  for (const fault of faults.slice(0, 10)) console.log(`  FAULT ${fault}`)
}
