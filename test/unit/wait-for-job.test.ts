/** The browser's side of jobs: what it is to a browser. What it does there is shown with Conduit. */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { suite, test, type TestContext } from 'node:test'
import { gzipSync } from 'node:zlib'

import { jobsModule, type JobState, type waitForJob as WaitForJob } from '../../src/client/wait-for-job.ts'

/** A server without events, as behind a proxy that lets none through. */
async function serve(
  t: TestContext,
  states: readonly (object | number)[],
): Promise<{ url: string; asked: () => number }> {
  let asked = 0
  const server = createServer((request, response) => {
    if (request.url!.endsWith('/events')) return response.writeHead(503).end()
    const state = states[Math.min(asked++, states.length - 1)]!
    if (state === -1) return
    if (typeof state === 'number') return response.writeHead(state).end('{}')
    return response.end(JSON.stringify(state))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())))
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}/jobs/1`, asked: () => asked }
}

suite('waiting for a job in a browser', () => {
  const load = async (): Promise<typeof WaitForJob> => {
    const { waitForJob } = (await import(`data:text/javascript,${encodeURIComponent(jobsModule)}`)) as {
      waitForJob: typeof WaitForJob
    }
    return waitForJob
  }

  test('is a module on its own, of less than 2 KiB compressed', async () => {
    assert.equal(typeof (await load()), 'function')
    const { length } = gzipSync(jobsModule)
    assert.ok(length < 2048, `${length} bytes`)
  })

  test('where no events come it asks, through failures, and tells what is newer', async (t) => {
    const waitForJob = await load()
    const { url } = await serve(t, [
      500,
      { id: '1', state: 'running', version: 3, progress: 0.5 },
      { id: '1', state: 'running', version: 2, progress: 0.4 },
      { id: '1', state: 'done', version: 4, output: 'cake' },
    ])
    const told: number[] = []
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const ticking = setInterval(() => t.mock.timers.tick(250), 5)
    t.after(() => clearInterval(ticking))
    const done = await waitForJob(url, { onProgress: (state: JobState) => told.push(state.version) })
    assert.equal(done.output, 'cake')
    assert.deepEqual(told, [3, 4])
  })

  test('a page whose bar throws gets its job all the same, and an answer that never comes is not waited for', async (t) => {
    const waitForJob = await load()
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const ticking = setInterval(() => t.mock.timers.tick(250), 5)
    t.after(() => clearInterval(ticking))
    const { url } = await serve(t, [
      { id: '1', state: 'running', version: 1, progress: 0.5 },
      { id: '1', state: 'done', version: 2, output: 'cake' },
    ])
    const onProgress = (): never => {
      throw new Error('no bar')
    }
    const late = new Promise((resolve) => setInterval(() => resolve('nothing'), 5_000).unref())
    const done = await Promise.race([waitForJob(url, { onProgress }), late])
    assert.deepEqual((done as JobState).output, 'cake')
    const hanging = await serve(t, [-1, { id: '1', state: 'done', version: 2, output: 'cake' }])
    assert.deepEqual(((await Promise.race([waitForJob(hanging.url), late])) as JobState).output, 'cake')
  })

  test('what is final ends the waiting, whatever was told before', async (t) => {
    const waitForJob = await load()
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const ticking = setInterval(() => t.mock.timers.tick(250), 5)
    t.after(() => clearInterval(ticking))
    // As where a database was put back in between.
    const { url } = await serve(t, [
      { id: '1', state: 'running', version: 5, progress: 0.5 },
      { id: '1', state: 'done', version: 4, output: 'cake' },
    ])
    const late = new Promise((resolve) => setInterval(() => resolve('nothing'), 5_000).unref())
    assert.deepEqual(((await Promise.race([waitForJob(url), late])) as JobState).output, 'cake')
  })

  test('a job that has failed, or is not there, is an error that says so; who gives up hears their own reason', async (t) => {
    const waitForJob = await load()
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const ticking = setInterval(() => t.mock.timers.tick(250), 5)
    t.after(() => clearInterval(ticking))
    const failed = await serve(t, [{ id: '1', state: 'failed', version: 4, error: 'no such user' }])
    await assert.rejects(waitForJob(failed.url), { message: 'no such user', state: 'failed' })
    await assert.rejects(waitForJob((await serve(t, [404])).url), { state: 404 })
    const reason = new Error('enough')
    await assert.rejects(waitForJob(failed.url, { signal: AbortSignal.abort(reason) }), reason)
  })
})
