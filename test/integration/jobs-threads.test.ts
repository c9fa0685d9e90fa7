/** Jobs in threads of their own: what computes keeps nobody waiting, and whatever it does ends with its thread. */

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { rm } from 'node:fs/promises'

import { loadApp } from '../../src/app/load-app.ts'
import { open } from '../../src/app/open.ts'
import { silentLogger } from '../../src/core/log.ts'
import { newDirectory } from '../support/postgres.ts'
import { compute, patient, quick } from '../support/thread-app/app.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Fourfold } from '../../src/app/fourfold.ts'

suite('jobs in threads', () => {
  const appFile = fileURLToPath(new URL('../support/thread-app/app.ts', import.meta.url))
  let ff: Fourfold<any>
  let directory = ''
  const order = async (does: string, more: object = {}): Promise<string> =>
    (await ff.jobs.enqueue(compute, { does, ...more })).id
  const ended = async (id: string) => (await ff.jobs.wait(id, { timeout: '15s' })) ?? assert.fail('expected a job')

  before(async () => {
    directory = await newDirectory('ff-threads-')
    const config = { dataDir: directory, store: { deadline: '10s' } }
    ff = await open(await loadApp(appFile), { appFile, config, env: {}, log: silentLogger })
    ff.jobs.start()
  })
  after(async () => {
    await ff.close()
    await rm(directory, { recursive: true, force: true })
  })

  test('they have the app’s tools, and are no concern of the process they are in', async () => {
    const beganMs = performance.now()
    let latest = beganMs
    let longest = 0
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - latest)
      latest = performance.now()
    }, 5)
    const { state, output } = await ended(await order('spin', { ms: 800 }))
    clearInterval(timer)
    assert.equal(state, 'done')
    assert.deepEqual({ ...(output as object), threadId: 0 }, { main: false, threadId: 0, one: 1 })
    assert.ok(longest < 400, `the event loop stood still for ${longest} ms`)
  })

  test('a thread is kept for the next job', async () => {
    const [first, second] = [await ended(await order('add')), await ended(await order('add'))]
    assert.equal((first.output as any).threadId, (second.output as any).threadId)
  })

  test('one that heeds its signal keeps its thread; one that computes for ever is ended with it', async () => {
    const heeding = await order('wait')
    await waitFor('it runs', async () => (await ff.jobs.find(heeding))?.state === 'running')
    await ff.jobs.cancel(heeding)
    assert.equal((await ended(heeding)).state, 'cancelled')
    const telling = await order('tell why')
    const said = async (): Promise<string | null | undefined> => (await ff.jobs.find(telling))?.message
    await waitFor('it has begun', async () => (await said()) === 'begun')
    await ff.jobs.cancel(telling)
    await waitFor('it knows why', async () => (await said()) === 'FF_JOB_CANCELLED')
    assert.equal((await ended(telling)).state, 'cancelled')
    const { state, error } = await ended(await order('for ever'))
    assert.deepEqual([state, error?.code], ['failed', 'FF_JOB_TIMEOUT'])
    assert.equal((await ended(await order('add'))).state, 'done')
  })

  test('one that takes too much memory, or ends its thread, fails alone', async () => {
    for (const [does, message] of [
      ['eat', /threadMemory/],
      ['exit', /thread of the job ended/],
    ] as const) {
      const { state, error } = await ended(await order(does))
      assert.deepEqual([state, error?.code], ['failed', 'FF_JOB_THREAD'])
      assert.match(error!.message, message)
      assert.equal((await ended(await order('add'))).state, 'done')
    }
  })

  test('what is left running in a thread, and fails when its job is done, harms no other', async () => {
    for (const does of ['throw later', 'exit later']) {
      assert.equal((await ended(await order(does))).state, 'done')
      await new Promise((resolve) => setTimeout(resolve, 300))
      assert.equal((await ended(await order('add'))).state, 'done')
    }
  })

  test('a thread that is free is given to who waits for one, although another has given up before', async () => {
    const first = await order('spin', { ms: 800 })
    await waitFor('it runs', async () => (await ff.jobs.find(first))?.state === 'running')
    const gone = await order('add')
    const waiting = await order('add')
    assert.equal(await ff.jobs.cancel(gone), true)
    assert.equal((await ended(gone)).state, 'cancelled')
    assert.equal((await ended(first)).state, 'done')
    assert.equal((await ended(waiting)).state, 'done')
  })

  test('those that wait for a thread keep no place from others, here or elsewhere', async () => {
    const ids = await Promise.all(Array.from({ length: 12 }, () => order('spin', { ms: 300 })))
    await waitFor('one runs', async () =>
      (await Promise.all(ids.map((id) => ff.jobs.find(id)))).some((one) => one?.state === 'running'),
    )
    const beganMs = performance.now()
    const { id } = await ff.jobs.enqueue(quick, {})
    assert.equal((await ended(id)).state, 'done')
    assert.ok(performance.now() - beganMs < 1_500, `it waited for ${performance.now() - beganMs} ms`)
    const [count] = (await ff.jobs.counts()).filter(({ name }) => name === compute.name)
    assert.equal(count?.running, 1)
    for (const one of ids) assert.equal((await ended(one)).state, 'done')
  })

  test('what one tells of how far it is when it has ended is not told of the next in its thread', async () => {
    assert.equal((await ended(await order('tell later'))).state, 'done')
    const next = await order('wait')
    await waitFor('it runs', async () => (await ff.jobs.find(next))?.state === 'running')
    await new Promise((resolve) => setTimeout(resolve, 600))
    assert.equal((await ff.jobs.find(next))?.message, null)
    await ff.jobs.cancel(next)
    await ended(next)
  })

  test('one that tells a million times how far it is keeps nobody waiting', async () => {
    let latest = performance.now()
    let longest = 0
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - latest)
      latest = performance.now()
    }, 5)
    const { state, error, message } = await ended(await order('tell all'))
    clearInterval(timer)
    assert.deepEqual([state, error, message], ['done', null, 'half'])
    assert.ok(longest < 400, `the event loop stood still for ${longest} ms`)
  })

  test('its output is what it would be without a thread', async () => {
    assert.deepEqual((await ended(await order('sum'))).output, { sum: '12 EUR' })
    assert.deepEqual((await ended(await order('answer a function'))).output, { of: 'a function' })
    const { id } = await ff.jobs.enqueue(patient, {})
    const { state, error, record } = await ended(id)
    assert.deepEqual([state, error?.code, record.errors.length], ['failed', 'FF_JOB_OUTPUT', 1])
  })

  test('what it throws is what is told', async () => {
    const { state, error } = await ended(await order('throw'))
    assert.deepEqual([state, error?.message, error?.code], ['failed', 'no such user', 'JOB_FAILURE'])
    const untellable = await ended(await order('throw an object'))
    assert.deepEqual([untellable.state, untellable.error?.code], ['failed', undefined])
  })
})
