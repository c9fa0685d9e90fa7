/** Whose turn it is where there is room for one at a time. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { silentLogger } from '../../src/core/log.ts'
import { defineJob } from '../../src/jobs/define-job.ts'
import { policyOf } from '../../src/jobs/policy.ts'
import { Turns } from '../../src/jobs/worker/turns.ts'
import { anything } from '../support/jobs-ground.ts'
import { waitFor } from '../support/wait-for.ts'

import type { JobEngine } from '../../src/jobs/engine.ts'

test('no kind of job keeps the others from their turn, however many of it wait', async () => {
  const contracts = [
    defineJob({ name: 'plain', input: anything }),
    defineJob({ name: 'limited', input: anything, concurrency: 5 }),
    defineJob({ name: 'threaded', input: anything, thread: true }),
  ]
  const jobs = new Map(
    contracts.map((contract) => {
      return [contract.name, { definition: contract.handle(() => undefined as never), policy: policyOf(contract) }]
    }),
  )
  const taken = new Map<string, number>()
  let room = 1
  // There are always more of each.
  const take = (name: string): void => {
    taken.set(name, (taken.get(name) ?? 0) + 1)
    room = 0
    setImmediate(() => {
      room = 1
      turns.wake(false)
    })
  }
  const engine = {
    paused: async () => [],
    due: async () => ({ moved: 0, nextMs: null }),
    waitingAmong: async (names: readonly string[]) => names,
    claim: async (_worker: string, names: readonly string[]) => (take(names[0]!), { claims: [], more: true }),
    claimLimited: async () => (take('limited'), { claims: [{}], againMs: null }),
  } as unknown as JobEngine
  const turns = new Turns({
    ...{ engine, jobs, room: () => room, roomForRated: () => room, roomForThreads: () => 1 },
    ...{ locked: (work) => work(), worker: async () => '1', took: () => undefined, log: silentLogger },
  })
  turns.start(1_000)
  await waitFor('some turns', () => [...taken.values()].reduce((sum, one) => sum + one, 0) >= 30)
  await turns.stop()
  for (const name of jobs.keys()) assert.ok((taken.get(name) ?? 0) >= 8, `${name}: ${taken.get(name)} of 30`)
})
