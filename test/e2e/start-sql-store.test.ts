/** `fourfold start` with nothing but PostgreSQL: sessions and tokens stand in the app's own database. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'

import { readSystemNote } from '../../src/app/system-file.ts'
import { connect, makeDirectory } from '../support/postgres.ts'
import { nothingLeft, startCommand } from '../support/start-command.ts'
import { waitFor } from '../support/wait-for.ts'

const app = 'test/support/session-app/app.ts'

suite('fourfold start on the app’s own database alone', () => {
  test('a session outlives the clone that made it, and the whole system', async (t) => {
    const data = await makeDirectory(t)
    const env = { FOURFOLD_STORE_DATABASE: 'main', FOURFOLD_CLONES_MIN: '2' }
    const first = await startCommand(t, { app, data, env })
    assert.match(first.output(), /store\s+in the database main/)
    const note = await readSystemNote(data)
    assert.equal(
      note?.processes.some(({ name }) => name.startsWith('store')),
      false,
      'no store process',
    )
    const signedIn = await fetch(first.url, { method: 'POST' })
    assert.equal(await signedIn.text(), 'Ada')
    const cookie = signedIn.headers.getSetCookie().map((line) => line.split(';')[0])
    const name = async (url: string): Promise<string> =>
      await (await fetch(url, { headers: { cookie: cookie.join('; ') } })).text()
    for (const id of ['clone-1.1', 'clone-2.1']) {
      const clone = (await readSystemNote(data))?.processes.find((each) => each.name === id)
      process.kill(clone!.pid, 'SIGKILL')
      // The other one may still be starting, in place of the one that was killed before.
      const read = async (): Promise<boolean> => (await name(first.url)) === 'Ada'
      await waitFor('the session to be read by another clone', read, 60_000)
      await waitFor('its successor', async () =>
        (await readSystemNote(data))?.processes.some((each) => each.name === id.replace('.1', '.2')),
      )
    }
    const looker = await connect(t, note!.connections.databases['main']!.primary)
    const { rows } = await looker.query(`select count(*)::int as n from fourfold.store_records`)
    assert.ok(rows[0].n > 0)
    first.child.kill('SIGINT')
    await once(first.child, 'exit')
    await nothingLeft(data)
    const second = await startCommand(t, { app, data, env })
    assert.equal(await name(second.url), 'Ada')
    second.child.kill('SIGINT')
    await once(second.child, 'exit')
    await nothingLeft(data)
  })
})
