/** `fourfold start` as a user meets it: one command, one Ctrl-C, and the morning after a SIGKILL. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'

import { longForm } from '../support/long-form.ts'
import { makeDirectory } from '../support/postgres.ts'
import { beginStart, notes, nothingLeft, nothingRuns, startCommand } from '../support/start-command.ts'

async function save(url: string, text: string): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const made = await fetch(`${url}/notes`, { method: 'POST', headers, body: JSON.stringify({ id: '1', text }) })
  assert.equal(made.status, 200)
}

async function kept(url: string): Promise<unknown> {
  return await (await fetch(`${url}/notes`)).json()
}

suite('fourfold start', () => {
  test('serves a seeded home page, and Ctrl-C leaves no process, socket or lock', async (t) => {
    const data = await makeDirectory(t)
    const { child, url } = await startCommand(t, { data, seed: true })
    const home = await fetch(url)
    assert.equal(home.status, 200)
    assert.match(await home.text(), /article-preview/)
    child.kill('SIGINT')
    const [code] = await once(child, 'exit')
    assert.equal(code, 0)
    await nothingLeft(data)
  })

  test('a supervisor that gets SIGKILL takes its processes along, and the next start finds the data', async (t) => {
    const data = await makeDirectory(t)
    const first = await startCommand(t, { app: notes, data })
    await save(first.url, 'Ada')
    first.child.kill('SIGKILL')
    const second = await startCommand(t, { app: notes, data })
    assert.deepEqual(await kept(second.url), [{ id: '1', text: 'Ada' }])
    second.child.kill('SIGINT')
    await once(second.child, 'exit')
    await nothingLeft(data)
  })

  test('a second start on the same data says who holds it', async (t) => {
    const data = await makeDirectory(t)
    const { child } = await startCommand(t, { app: notes, data })
    await assert.rejects(startCommand(t, { app: notes, data }), (error: Error) => {
      assert.match(error.message, /FF_ENGINE_OWNED/)
      assert.match(error.message, new RegExp(String(child.pid)))
      return true
    })
    child.kill('SIGINT')
    await once(child, 'exit')
  })

  test('two systems run side by side, and the end of one is nothing to the other', { skip: longForm }, async (t) => {
    const places = [await makeDirectory(t), await makeDirectory(t)] as const
    const [one, other] = await Promise.all([
      startCommand(t, { app: notes, data: places[0] }),
      startCommand(t, { app: notes, data: places[1] }),
    ])
    await save(one.url, 'Ada')
    await save(other.url, 'Grace')
    one.child.kill('SIGKILL')
    await once(one.child, 'exit')
    await nothingRuns(places[0])
    assert.deepEqual(await kept(other.url), [{ id: '1', text: 'Grace' }])
    const again = await startCommand(t, { app: notes, data: places[0] })
    for (const [url, text] of [
      [again.url, 'Ada'],
      [other.url, 'Grace'],
    ] as const)
      assert.deepEqual(await kept(url), [{ id: '1', text }])
    for (const { child } of [again, other]) {
      child.kill('SIGTERM')
      assert.deepEqual(await once(child, 'exit'), [0, null])
    }
    for (const data of places) await nothingLeft(data)
  })

  test('mistakes in the configuration come in one list, with their paths', async (t) => {
    const data = await makeDirectory(t)
    const env = { FOURFOLD_CLONES_MIN: 'many', FOURFOLD_STORE_DEADLINE: 'soon' }
    const { child, output } = beginStart(t, { app: notes, data, env })
    const [code] = await once(child, 'close')
    const text = output()
    assert.equal(code, 1)
    assert.match(text, /FF_CONFIG_INVALID/)
    assert.match(text, /clones\.min/)
    assert.match(text, /store\.deadline/)
  })
})
