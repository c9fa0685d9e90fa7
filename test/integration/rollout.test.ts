/**
 * Rollouts as an operator does them, with the commands and under load: the quick form of `npm run verify -- rollout`,
 * which does more of the same and proves that its checks can fail.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { longForm } from '../support/long-form.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'
import { acts } from '../verify/rollout/acts.ts'
import { breaches, runScene, startScene } from '../verify/rollout/scene.ts'

const campaign = { rollouts: 2, kills: 1, scales: 1 }

test('rollouts under load', async (t) => {
  const system = await startScene({ directory: await makeDirectory(t) })
  endAfter(t, () => system.stop())

  await t.test('lose no request, carry out no write twice, and take no reader back', async () => {
    const outcome = await runScene(system, { campaign, readers: 6, note: () => undefined })
    assert.deepEqual(breaches(outcome), [])
    assert.deepEqual(outcome.course.done, campaign)
    assert.ok(outcome.findings.requests > 500, `only ${outcome.findings.requests} requests`)
  })

  for (const act of acts.filter(({ quick }) => quick)) {
    await t.test(act.name, async () => assert.deepEqual(await act.run(system, 1 + campaign.rollouts), []))
  }

  await t.test(
    'a supervisor killed in the middle of a rollout starts the build before it again',
    { skip: longForm },
    async () => {
      await system.edit(99)
      const rolling = system.rollout(['--percent', '50,100', '--hold', '60s'])
      const { current } = (await system.status()).admission
      await system.waitForShare(0.5)
      await system.kill()
      assert.equal((await rolling).code, 1)
      await system.start(2)
      const { admission, takenBack } = await system.status()
      assert.equal(admission.current.id, current.id)
      assert.equal(admission.current.ordinal, current.ordinal + 2)
      assert.notEqual(takenBack, null)
      const answer = (await (await fetch(`${system.url}/read`)).json()) as { build: number }
      assert.equal(answer.build, 1 + campaign.rollouts)
    },
  )
})
