/** Jobs in a system of processes: done by workers that may write nothing, in threads too, and seen from the shell. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { loadApp } from '../../src/app/load-app.ts'
import { open } from '../../src/app/open.ts'
import { readSystemNote } from '../../src/app/system-file.ts'
import { silentLogger } from '../../src/core/log.ts'
import { makeDirectory } from '../support/postgres.ts'
import { nothingLeft, startCommand } from '../support/start-command.ts'
import { compute } from '../support/thread-app/app.ts'

const root = join(import.meta.dirname, '../..')
const app = 'test/support/thread-app/app.ts'

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
  test('workers do them, threads included, and the shell shows them', async (t) => {
    const data = await makeDirectory(t, 'jobs-system-')
    const { child } = await startCommand(t, { app, data, env: { FOURFOLD_CLONES_MIN: '1' } })
    const { connections } = (await readSystemNote(data))!
    const ff = await open(await loadApp(fileURLToPath(new URL(`../../${app}`, import.meta.url))), {
      connections,
      env: {},
      log: silentLogger,
    })
    t.after(() => ff.close())
    const { id } = await ff.jobs.enqueue(compute, { does: 'add' })
    assert.equal((await ff.jobs.wait(id, { timeout: '20s' }))?.state, 'done')
    const failing = await ff.jobs.enqueue(compute, { does: 'throw' })
    assert.equal((await ff.jobs.wait(failing.id, { timeout: '20s' }))?.state, 'failed')
    assert.match(await shell('--data', data), /compute: 0 wait, 0 run, 0 for later, 1 failed/)
    assert.match(await shell('--data', data, '--show', failing.id), /JobFailure: no such user/)
    assert.match(await shell('--data', data, '--retry', 'compute'), /1 waits again/)
    assert.match(await shell('--data', data, '--cancel', id), /is finished/)
    await ff.close()
    child.kill('SIGINT')
    await once(child, 'exit')
    await nothingLeft(data)
  })
})
