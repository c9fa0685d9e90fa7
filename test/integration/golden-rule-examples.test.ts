/**
 * The golden-rule check on an example with a database: the script beside it finds nothing, and would if there was.
 * Conduit's own takes longer: `npm run verify -- golden-rule`.
 */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { checkApp, told } from '../support/golden-rule.ts'

const examples = new URL('../../examples/', import.meta.url)

suite('the golden rule in the examples', { concurrency: 1 }, () => {
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
