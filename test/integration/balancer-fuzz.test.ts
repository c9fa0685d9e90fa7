/** The short form of `npm run verify -- front-fuzz`, and proof that it can fail. `FUZZ_SEED` repeats a run. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fuzz } from '../verify/front-fuzz/fuzz.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000)

describe('the front of the balancer, fuzzed', () => {
  for (const nativeParser of [true, false]) {
    it(`tampered requests do no harm, with ${nativeParser ? "Node's parser" : 'undici'} (seed ${seed})`, async () => {
      const result = await fuzz({ seed, connections: 200, withinMs: 1500, nativeParser })
      assert.deepEqual(result.faults, [], `seed ${seed}`)
      assert.ok(result.forwarded > 0 && result.refused > 0, JSON.stringify(result))
    })
  }

  for (const plant of ['both lengths', 'answers are crossed'] as const) {
    it(`a planted fault is noticed: ${plant}`, async () => {
      const { faults } = await fuzz({ seed: 7, connections: 2000, withinMs: 8000, plant })
      assert.notDeepEqual(faults, [])
    })
  }
})
