/**
 * The short form of `npm run verify -- consistency`: readers at every level, writers inside and outside of the app, and
 * a few faults; and proof that it can fail. What the machine has time for differs, so there are no floors for shares.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { checkFile } from '../verify/consistency-checker.ts'
import { breaches, plantedEnv } from '../verify/consistency/breaches.ts'
import { openHistory } from '../verify/consistency/history.ts'
import { quickPace } from '../verify/consistency/pace.ts'
import { usePhase } from '../verify/consistency/phases.ts'
import { catchBreach } from '../verify/consistency/planted.ts'
import { reset } from '../verify/consistency/reset.ts'
import { startGround } from '../verify/consistency/servers.ts'
import { findPort, System } from '../verify/sessions/system.ts'
import { findRedis } from '../../scripts/services.ts'
import { makeDirectory, endAfter } from '../support/postgres.ts'

const app = fileURLToPath(new URL('../verify/consistency/app.ts', import.meta.url))
const noRedis = (await findRedis()) === null ? 'there is no Redis' : false
const { stoppedMs, clones } = quickPace

test('every read is as fresh as its level promises', { skip: noRedis }, async (t) => {
  const directory = await makeDirectory(t, 'consistency-')
  const ground = await startGround(directory)
  endAfter(t, () => ground.stop())

  async function withSystem<T>(env: Record<string, string>, work: (system: System) => Promise<T>): Promise<T> {
    const options = { data: join(directory, 'data'), clones, port: await findPort(), app }
    const system = new System({ ...options, env: { ...ground.env, ...env } })
    try {
      await system.start()
      return await work(system)
    } finally {
      await system.stop()
    }
  }

  await t.test('while parts of the system die', async () => {
    const path = join(directory, 'history.jsonl')
    const history = openHistory(path)
    await withSystem({}, async (system) => {
      const run = { scene: { system, ground, stoppedMs }, history, pace: quickPace, note: () => undefined }
      await usePhase(run, { name: 'both tiers', tiers: ['memory', 'tier'], env: {} })
    })
    await history.close()
    const { violations, counts } = await checkFile(path)
    assert.deepEqual(violations.slice(0, 3), [])
    assert.equal(Object.keys(counts.faults).length, 4)
    for (const reads of Object.values(counts.reads)) assert.ok(reads > 20, JSON.stringify(counts))
  })

  for (const breach of breaches.filter(({ quick }) => quick === true)) {
    await t.test(`and a breach of rule ${breach.rule} is caught: ${breach.name}`, async () => {
      await reset(ground)
      const path = join(directory, `rule-${breach.rule}.jsonl`)
      const caught = await withSystem(plantedEnv(breach), (system) =>
        catchBreach({ scene: { system, ground, stoppedMs }, breach, withinMs: 45_000, path }),
      )
      assert.notEqual(caught, null)
    })
  }
})
