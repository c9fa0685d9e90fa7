/** The part of the stores' contract that is about what has an end: records and tokens that are not renewed. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../until.ts'
import { assertFields, hourMs, text, type Clients } from './parts.ts'

export function expiryTests(clients: () => Clients): void {
  test('what has expired does not exist', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.create(key, { a: text('1') }, { ttlMs: 40 })
    await one.raiseToken(key, 'e', 1, 40)
    await until('the record has expired', async () => (await two.read(key)) === null)
    await until('the token has expired', async () => (await two.readToken(key)) === null)
    assert.equal(await two.update(key, { set: { a: text('2') }, ttlMs: hourMs }), 'missing')
    assert.equal(await two.delete(key), false)
    assert.deepEqual(await two.list(key), [])
    assert.equal(await two.create(key, {}, { ttlMs: hourMs }), true)
    assertFields(await one.read(key), {})
  })

  test('an update without a time to live leaves the old one, with one gives a new one', async () => {
    const { one, two, fresh } = clients()
    const [longer, same] = [fresh(), fresh()]
    await Promise.all([longer, same].map((key) => one.create(key, {}, { ttlMs: 400 })))
    assert.equal(await one.update(longer, { set: { a: text('1') }, ttlMs: hourMs }), 'updated')
    assert.equal(await one.update(same, { set: { a: text('1') } }), 'updated')
    await until('the one that was not lengthened has expired', async () => (await two.read(same)) === null)
    assertFields(await two.read(longer), { a: '1' })
  })
}
