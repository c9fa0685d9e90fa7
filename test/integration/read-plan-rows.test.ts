import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import type { Breach } from '../verify/read-plans/breaches.ts'
import { check, described } from '../verify/read-plans/check.ts'
import { type Ground, openGround } from '../verify/read-plans/server.ts'

/** The long form is `npm run verify -- read-plans`. */
describe('what a plan records, against a server', () => {
  let ground: Ground
  const endings: (() => Promise<void>)[] = []
  before(async () => {
    ground = await openGround({ after: (end: () => Promise<void>) => endings.push(end) })
  })
  after(async () => {
    for (const end of endings) await end()
  })

  test('no answer changes by a row that was not recorded', async () => {
    const found = await check({ client: await ground.newDatabase(), seed: 11, queries: 250, changesEach: 10 })
    assert.equal(found.findings.length, 0, found.findings.slice(0, 3).map(described).join('\n\n'))
    assert.deepEqual(found.refused, [])
    assert.deepEqual(found.mistyped, [])
    assert.ok(found.narrowed > 100, `${found.narrowed} queries with a narrowed table`)
    assert.ok(found.answersChanged > 60, `${found.answersChanged} answers changed`)
    assert.ok(found.passed > 100, `${found.passed} changes that no read matched`)
  })

  const quicklyCaught: readonly Breach[] = [
    'an outer join restricts the side that it preserves',
    'an OR is taken for an AND',
    'NOT is not seen',
    'heirs are forgotten',
    'IN drops its last value',
    'only the first reference to a table counts',
    'values are not made canonical',
  ]
  for (const breach of quicklyCaught) {
    test(`planted and caught: ${breach}`, async () => {
      const client = await ground.newDatabase()
      const found = await check({ client, seed: 7, queries: 1_000, changesEach: 10, breach, stopAtFirst: true })
      assert.ok(found.findings.length > 0, `not caught by ${found.queries} queries`)
    })
  }
})
