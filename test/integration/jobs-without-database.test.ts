/** An app that has no database: everything but ordering jobs is as it would be without them. */

import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { test } from 'node:test'

import { defineApp } from '../../src/app/define-app.ts'
import { open } from '../../src/app/open.ts'
import { silentLogger } from '../../src/core/log.ts'
import { defineJob } from '../../src/jobs/define-job.ts'
import { anything } from '../support/jobs-ground.ts'
import { newDirectory } from '../support/postgres.ts'

test('without a database no address is of a job, streams end, and an order says what is missing', async (t) => {
  const dataDir = await newDirectory('ff-no-jobs-')
  const ff = await open(defineApp({ databases: {}, dataDir }), { env: {}, log: silentLogger })
  t.after(async () => {
    await ff.close()
    await rm(dataDir, { recursive: true, force: true })
  })
  assert.equal(ff.jobs.covers('/jobs/1'), false)
  ff.jobs.endStreams()
  assert.equal(ff.jobs.watching, 0)
  const refused = { code: 'FF_JOB_DATABASE', message: /declare one/ }
  await assert.rejects(ff.jobs.enqueue(defineJob({ name: 'a', input: anything }), {}), refused)
  await assert.rejects(ff.jobs.find('1'), refused)
  await assert.rejects(ff.jobs.counts(), refused)
})
