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
    const found = await check({ client: await ground.newDatabase(), seed: 11, queries: 200, changesEach: 10 })
    assert.equal(found.findings.length, 0, found.findings.slice(0, 3).map(described).join('\n\n'))
    assert.deepEqual(found.refused, [])
    assert.deepEqual(found.mistyped, [])
    assert.deepEqual(found.denied, [], 'columns that the server says are read')
    assert.ok(found.unread > 60, `${found.unread} updates of columns that are not read`)
    assert.equal(found.unreadEnded, 0)
    assert.ok(found.narrowed > 80, `${found.narrowed} queries with a narrowed table`)
    assert.ok(found.answersChanged > 60, `${found.answersChanged} answers changed`)
    assert.ok(found.passed > 80, `${found.passed} changes that no read matched`)
  })

  /** With seeds that lead to them soon. */
  const quicklyCaught: Readonly<Partial<Record<Breach, number>>> = {
    'an outer join restricts the side that it preserves': 2,
    'equalities pass through a LIMIT': 10,
    'equalities pass through a window': 1,
    'an OR is taken for an AND': 1,
    'NOT is not seen': 1,
    'a column of ORDER BY is forgotten': 1,
    'HAVING is forgotten': 3,
    'USING is forgotten': 1,
    'NATURAL is forgotten': 1,
    'a whole row is forgotten': 1,
    'GROUP BY takes a name from the answer': 2,
    'heirs are forgotten': 1,
    'IN drops its last value': 1,
    'only the first reference to a table counts': 1,
    'values are not made canonical': 3,
    'no column but the keys is read': 1,
  }
  for (const [breach, seed] of Object.entries(quicklyCaught) as [Breach, number][]) {
    test(`planted and caught: ${breach}`, async () => {
      const client = await ground.newDatabase()
      const found = await check({ client, seed, queries: 500, changesEach: 10, breach, stopAtFirst: true })
      assert.ok(found.findings.length + found.denied.length > 0, `not caught by ${found.queries} queries`)
    })
  }
})
