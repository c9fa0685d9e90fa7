/** `fourfold start` as a user meets it: one command, one Ctrl-C, and the morning after a SIGKILL. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'

import { longForm } from '../support/long-form.ts'
import { makeDirectory } from '../support/postgres.ts'
import { beginStart, nothingLeft, nothingRuns, startCommand } from '../support/start-command.ts'

async function register(url: string, username: string): Promise<void> {
  const user = { username, email: `${username.toLowerCase()}@example.com`, password: 'correct horse' }
  const headers = { 'content-type': 'application/json' }
  const made = await fetch(`${url}/api/users`, { method: 'POST', headers, body: JSON.stringify({ user }) })
  assert.equal(made.status, 201)
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
    const first = await startCommand(t, { data })
    await register(first.url, 'Ada')
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

  test('two systems run side by side, and the end of one is nothing to the other', { skip: longForm }, async (t) => {
    const places = [await makeDirectory(t), await makeDirectory(t)] as const
    const [one, other] = await Promise.all([startCommand(t, { data: places[0] }), startCommand(t, { data: places[1] })])
    await register(one.url, 'Ada')
    await register(other.url, 'Grace')
    assert.equal((await fetch(`${other.url}/api/profiles/Ada`)).status, 404)
    one.child.kill('SIGKILL')
    await once(one.child, 'exit')
    await nothingRuns(places[0])
    assert.equal((await fetch(`${other.url}/api/profiles/Grace`)).status, 200)
    const again = await startCommand(t, { data: places[0] })
    for (const [url, name] of [
      [again.url, 'Ada'],
      [other.url, 'Grace'],
    ])
      assert.equal((await fetch(`${url}/api/profiles/${name}`)).status, 200)
    for (const { child } of [again, other]) {
      child.kill('SIGTERM')
      assert.deepEqual(await once(child, 'exit'), [0, null])
    }
    for (const data of places) await nothingLeft(data)
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
