/** `npm run verify -- golden-rule`: the golden-rule check on Conduit; the shorter ones stand among the tests. */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { suite, test } from 'node:test'

import { checkApp, told } from '../support/golden-rule.ts'

const examples = new URL('../../examples/', import.meta.url)

suite('the golden rule in the reference app', () => {
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
})
