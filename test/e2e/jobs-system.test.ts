/** Jobs in a system of processes: done by workers that may write nothing, in threads too, and seen from the shell. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { suite, test } from 'node:test'

import { loadApp } from '../../src/app/load-app.ts'
import { open } from '../../src/app/open.ts'
import { readSystemNote } from '../../src/app/system-file.ts'
import { silentLogger } from '../../src/core/log.ts'
import { endAfter, makeDirectory, startTestCluster } from '../support/postgres.ts'
import { ensureRedis } from '../../scripts/services.ts'
import { beginStart, nothingLeft, startCommand } from '../support/start-command.ts'
import { compute } from '../support/thread-app/app.ts'
import { waitFor } from '../support/wait-for.ts'

const root = join(import.meta.dirname, '../..')
const app = 'test/support/thread-app/app.ts'
const appFile = join(root, app)

async function shell(...words: string[]): Promise<string> {
  const child = spawn(process.execPath, ['-C', 'fourfold:source', 'src/cli/main.ts', 'jobs', app, ...words], {
    cwd: root,
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await new Promise((resolve) => child.once('exit', resolve))
  return said
}

suite('jobs of a system', () => {
  test('a host of workers alone does them, and hands back what runs when it is stopped', async (t) => {
    const directory = await makeDirectory(t, 'jobs-workers-')
    const { primary } = await startTestCluster(t, { directory: join(directory, 'main') })
    const redis = await ensureRedis()
    endAfter(t, () => redis.stop())
    const { user, host, port, database } = primary
    const env = {
      DATABASE_URL: `postgres://${user}@/${database}?host=${encodeURIComponent(host)}&port=${port}`,
      FOURFOLD_STORE_URL: redis.url,
      FOURFOLD_SECRETS: 'a secret of at least thirty-two characters',
      FOURFOLD_WORKERS_GRACE: '200ms',
    }
    const data = join(directory, 'data')
    const starting = beginStart(t, { app, data, env, role: 'workers' })
    await waitFor('the worker', () => /1 worker of/.test(starting.output()), 60_000)
    const ff = await open(await loadApp(appFile), { env: { ...env, FOURFOLD_DATA_DIR: data }, log: silentLogger })
    t.after(() => ff.close())
    const { id } = await ff.jobs.enqueue(compute, { does: 'add' })
    assert.equal((await ff.jobs.wait(id, { timeout: '20s' }))?.state, 'done')
    const waits = await ff.jobs.enqueue(compute, { does: 'wait' })
    await waitFor('it runs', async () => (await ff.jobs.find(waits.id))?.state === 'running')
    starting.child.kill('SIGINT')
    await once(starting.child, 'exit')
    const { state, record } = (await ff.jobs.find(waits.id))!
    assert.deepEqual([state, record.attempt], ['waiting', 0])
    await ff.close()
    await nothingLeft(data)
  })

  test('workers do them, threads included, and the shell shows them', async (t) => {
    const data = await makeDirectory(t, 'jobs-system-')
    const { child } = await startCommand(t, { app, data, env: { FOURFOLD_CLONES_MIN: '1' } })
    const { connections } = (await readSystemNote(data))!
    const ff = await open(await loadApp(appFile), {
      connections,
      env: {},
      log: silentLogger,
    })
    t.after(() => ff.close())
    const { id } = await ff.jobs.enqueue(compute, { does: 'add' })
    assert.equal((await ff.jobs.wait(id, { timeout: '20s' }))?.state, 'done')
    const failing = await ff.jobs.enqueue(compute, { does: 'throw' })
    assert.equal((await ff.jobs.wait(failing.id, { timeout: '20s' }))?.state, 'failed')
    const [counts, shown, cancelled, misspelt] = await Promise.all([
      shell('--data', data),
      shell('--data', data, '--show', failing.id),
      shell('--data', data, '--cancel', id),
      shell('--data', data, '--pause', 'comput'),
    ])
    assert.match(counts, /compute: 0 wait, 0 run, 0 for later, 1 failed/)
    assert.match(shown, /JobFailure: no such user/)
    assert.match(cancelled, /is finished/)
    assert.match(misspelt, /This app has no job of that name: compute, patient/)
    const [again, paused] = await Promise.all([
      shell('--data', data, '--retry', 'compute'),
      shell('--data', data, '--pause', 'compute'),
    ])
    assert.match(again, /1 waits again/)
    assert.doesNotMatch(paused, /no job of that name/)
    assert.match(await shell('--data', data), /compute: .* \(paused\)/)
    assert.match(await shell('--data', data, '--resume', 'compute'), /goes on/)
    await ff.close()
    child.kill('SIGINT')
    await once(child, 'exit')
    await nothingLeft(data)
  })
})
