/** `fourfold start` as a user meets it: one command, one Ctrl-C, and the morning after a SIGKILL. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'

import { makeDirectory } from '../support/postgres.ts'
import { beginStart, nothingLeft, startCommand } from '../support/start-command.ts'

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
    const first = await startCommand(t, { data })
    const user = { username: 'Ada', email: 'ada@example.com', password: 'correct horse' }
    const made = await fetch(`${first.url}/api/users`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ user }),
    })
    assert.equal(made.status, 201)
    first.child.kill('SIGKILL')
    const second = await startCommand(t, { data })
    const found = await fetch(`${second.url}/api/profiles/Ada`)
    assert.equal(found.status, 200)
    second.child.kill('SIGINT')
    await once(second.child, 'exit')
    await nothingLeft(data)
  })

  test('a second start on the same data says who holds it', async (t) => {
    const data = await makeDirectory(t)
    const { child } = await startCommand(t, { data })
    await assert.rejects(startCommand(t, { data }), (error: Error) => {
      assert.match(error.message, /FF_ENGINE_OWNED/)
      assert.match(error.message, new RegExp(String(child.pid)))
      return true
    })
    child.kill('SIGINT')
    await once(child, 'exit')
  })

  test('mistakes in the configuration come in one list, with their paths', async (t) => {
    const data = await makeDirectory(t)
    const env = { FOURFOLD_CLONES_MIN: 'many', FOURFOLD_STORE_DEADLINE: 'soon' }
    const { child, output } = beginStart(t, { data, env })
    const [code] = await once(child, 'close')
    const text = output()
    assert.equal(code, 1)
    assert.match(text, /FF_CONFIG_INVALID/)
    assert.match(text, /clones\.min/)
    assert.match(text, /store\.deadline/)
  })
})
