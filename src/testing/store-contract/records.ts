/** The part of the stores' contract that records are: fields that change one by one, and conditions on them. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertFields, hourMs, text, type Clients } from './parts.ts'

export function recordTests(clients: () => Clients): void {
  test('a record that one client makes is read by the other', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    assert.equal(await two.read(key), null)
    assert.equal(await one.create(key, { name: text('Ada') }, { ttlMs: hourMs }), true)
    assert.equal(await two.create(key, { name: text('Eve') }, { ttlMs: hourMs }), false)
    assertFields(await two.read(key), { name: 'Ada' })
  })

  test('a record without fields exists', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    assert.equal(await one.create(key, {}, { ttlMs: hourMs }), true)
    assertFields(await two.read(key), {})
    assert.equal(await two.update(key, { set: { a: text('1') } }), 'updated')
    assert.equal(await two.update(key, { remove: ['a', 'never there'] }), 'updated')
    assertFields(await one.read(key), {})
    assert.equal(await one.delete(key), true)
  })

  test('an update touches only the fields that it names', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.create(key, { kept: text('1'), changed: text('2'), removed: text('3') }, { ttlMs: hourMs })
    assert.equal(
      await two.update(key, { set: { changed: text('x'), added: text('y') }, remove: ['removed'] }),
      'updated',
    )
    assertFields(await one.read(key), { kept: '1', changed: 'x', added: 'y' })
  })

  test('concurrent updates of different fields by two clients lose none', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.create(key, {}, { ttlMs: hourMs })
    const numbers = Array.from({ length: 200 }, (_, index) => index)
    await Promise.all(
      numbers.map((n) => (n % 2 === 0 ? one : two).update(key, { set: { [`f${n}`]: text(String(n)) } })),
    )
    const expected = Object.fromEntries(numbers.map((n) => [`f${n}`, String(n)]))
    assertFields(await two.read(key), expected)
  })

  test('a deleted record is never revived by an update', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.create(key, { a: text('1') }, { ttlMs: hourMs })
    const results = await Promise.all([
      ...Array.from({ length: 20 }, (_, n) => two.update(key, { set: { [`f${n}`]: text('x') }, ttlMs: hourMs })),
      one.delete(key),
      ...Array.from({ length: 20 }, (_, n) => two.update(key, { set: { [`g${n}`]: text('x') }, ttlMs: hourMs })),
    ])
    assert.equal(results[20], true)
    assert.equal(await two.update(key, { set: { late: text('x') }, ttlMs: hourMs }), 'missing')
    assert.equal(await two.update(key, { expect: { a: null }, set: { late: text('x') } }), 'missing')
    assert.equal(await one.read(key), null)
    assert.equal(await one.delete(key), false)
  })

  test('compare and set writes only where every expectation holds', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.create(key, { a: text('1'), b: text('2') }, { ttlMs: hourMs })
    assert.equal(await two.update(key, { expect: { a: text('1'), b: text('9') }, set: { a: text('x') } }), 'conflict')
    assert.equal(await two.update(key, { expect: { b: null }, set: { a: text('x') } }), 'conflict')
    assert.equal(await two.update(key, { expect: { c: text('') }, remove: ['a'] }), 'conflict')
    assertFields(await one.read(key), { a: '1', b: '2' })
    assert.equal(
      await two.update(key, { expect: { a: text('1'), c: null }, set: { c: text('3') }, remove: ['a'] }),
      'updated',
    )
    assertFields(await one.read(key), { b: '2', c: '3' })
  })

  test('a race of compare and set has exactly one winner', async () => {
    const { one, two, fresh } = clients()
    for (let round = 0; round < 10; round += 1) {
      const key = fresh()
      await one.create(key, { turn: text('free') }, { ttlMs: hourMs })
      const attempts = Array.from({ length: 20 }, (_, n) =>
        (n % 2 === 0 ? one : two).update(key, { expect: { turn: text('free') }, set: { turn: text(`taken by ${n}`) } }),
      )
      const results = await Promise.all(attempts)
      assert.equal(results.filter((result) => result === 'updated').length, 1)
      assert.equal(results.filter((result) => result === 'conflict').length, 19)
      const winner = results.indexOf('updated')
      assertFields(await two.read(key), { turn: `taken by ${winner}` })
    }
  })

  test('a race to make a record has exactly one winner', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    const made = await Promise.all([one, two, one, two].map((store) => store.create(key, {}, { ttlMs: hourMs })))
    assert.equal(made.filter(Boolean).length, 1)
  })

  test('list finds the living records of a prefix, and no tokens or leases', async () => {
    const { one, two, fresh } = clients()
    // Signs that stand for others in patterns are ordinary here.
    const prefix = `${fresh()}[*?\\^]:`
    await Promise.all(['a', 'b', 'c'].map((name) => one.create(prefix + name, {}, { ttlMs: hourMs })))
    await one.create(`${prefix.replace('*', 'x')}d`, {}, { ttlMs: hourMs })
    await Promise.all([one.raiseToken(`${prefix}t`, 'e', 1, hourMs), one.acquireLease(`${prefix}l`, 'me', hourMs)])
    await one.delete(`${prefix}b`)
    assert.deepEqual([...(await two.list(prefix))].toSorted(), [`${prefix}a`, `${prefix}c`])
    assert.equal((await two.list(prefix, { limit: 1 })).length, 1)
    assert.deepEqual(await two.list(`${prefix}none`), [])
  })
}
