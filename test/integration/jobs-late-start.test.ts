/** A worker that is started when its app closes already. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { quick } from '../support/thread-app/app.ts'
import { jobsGround } from '../support/jobs-ground.ts'
import { waitFor } from '../support/wait-for.ts'

suite('an app that closes', () => {
  const ground = jobsGround({ jobs: [quick.handle(() => null)] })

  test('leaves no worker behind that is started while it closes, or afterwards', async () => {
    const { worker, outside } = ground()
    const one = await worker({ works: false })
    const closed = one.close()
    one.jobs.start()
    await closed
    one.jobs.start()
    const workers = async (): Promise<number> => {
      const sql = `select count(*)::int as count from pg_stat_activity where application_name = 'fourfold jobs'`
      return (await outside.query(sql)).rows[0].count as number
    }
    // The next one is there once its connections are: by then the others would have theirs.
    const other = await worker()
    await waitFor('a worker', async () => (await workers()) > 0)
    await other.close()
    await waitFor('no worker', async () => (await workers()) === 0, 5_000)
    assert.equal(await workers(), 0)
  })
})
