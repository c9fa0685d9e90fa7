/** The golden-rule check on the examples, with databases: the scripts beside them find nothing, and would if there was. */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { checkApp, told } from '../support/golden-rule.ts'

const examples = new URL('../../examples/', import.meta.url)

suite('the golden rule in the examples', { concurrency: 1 }, () => {
  test('Conduit keeps it through its API and its pages', async () => {
    const script = await readFile(new URL('conduit/requests.http', examples), 'utf8')
    const found = await checkApp(new URL('conduit/src/app.ts', examples), script, { clones: 2, ways: 2 })
    assert.deepEqual(told(found), [])
    assert.deepEqual([found.accesses, found.notes], [[], []])
    // The script does what it says: were it refused everywhere, it would prove nothing.
    const statuses = found.replayed.map(({ status }) => status)
    assert.deepEqual(
      statuses.filter((status) => status >= 400).toSorted((a, b) => a - b),
      [401, 401, 404, 404, 409, 422],
    )
    assert.equal(statuses.filter((status) => status === 303).length, 8)
  })

  test('every run begins with the same rows: what one has written, no other finds', async () => {
    const script = await readFile(new URL('notes/requests.http', examples), 'utf8')
    const found = await checkApp(new URL('notes/app.ts', examples), script, { clones: 2, ways: 1 })
    assert.deepEqual([told(found), found.noise, found.notes], [[], [], []])
  })

  test('a database of the user is not written to unless they say so', async () => {
    const { requireOwnServers } = await import('../../src/cli/check/ground.ts')
    const { resolveConfig } = await import('../../src/app/config.ts')
    const { loadApp } = await import('../../src/app/load-app.ts')
    const { definition } = await loadApp(fileURLToPath(new URL('notes/app.ts', examples)))
    const config = resolveConfig(definition, { DATABASE_URL: 'postgres://app@127.0.0.1:1/app' })
    assert.throws(() => requireOwnServers(config), {
      code: 'FF_CHECK_EXTERNAL',
      message: /databases\.main\.url names a server/,
    })
    // Nothing listens there: what is embedded does not ask.
    const found = await checkApp(new URL('notes/app.ts', examples), 'GET /notes\n', { config, clones: 2, ways: 1 })
    assert.deepEqual([told(found), found.replayed.map(({ status }) => status)], [[], [200]])
  })
})
