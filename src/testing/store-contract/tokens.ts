/** The part of the stores' contract that tokens are: positions that only rise, by epoch. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../until.ts'
import { hourMs, type Clients } from './parts.ts'

export function tokenTests(clients: () => Clients): void {
  test('a token only rises, however many raise it at once', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    assert.equal(await one.readToken(key), null)
    const lsns = Array.from({ length: 100 }, (_, n) => ((n * 7919) % 100) + 2 ** 40)
    await Promise.all(lsns.map((lsn, n) => (n % 2 === 0 ? one : two).raiseToken(key, 'epoch-1', lsn, hourMs)))
    assert.deepEqual(await two.readToken(key), { parts: { 'epoch-1': 2 ** 40 + 99 } })
    await two.raiseToken(key, 'epoch-1', 5, hourMs)
    assert.deepEqual(await one.readToken(key), { parts: { 'epoch-1': 2 ** 40 + 99 } })
  })

  test('positions are exact up to the greatest whole number', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.raiseToken(key, 'e', Number.MAX_SAFE_INTEGER - 1, hourMs)
    await one.raiseToken(key, 'e', Number.MAX_SAFE_INTEGER, hourMs)
    assert.deepEqual(await two.readToken(key), { parts: { e: Number.MAX_SAFE_INTEGER } })
  })

  test('a mixture keeps every part, and is replaced only as it was seen', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.raiseToken(key, 'old', 900, hourMs)
    await two.raiseToken(key, 'new', 7, hourMs)
    const seen = { parts: { old: 900, new: 7 } }
    assert.deepEqual({ ...(await one.readToken(key))?.parts }, seen.parts)
    const next = { epoch: 'new', lsn: 8 }
    assert.equal(await one.replaceToken(key, { parts: { new: 7 } }, next, hourMs), false)
    assert.equal(await one.replaceToken(key, { parts: { old: 900, new: 6 } }, next, hourMs), false)
    assert.equal(await one.replaceToken(key, { parts: { old: 900, other: 7 } }, next, hourMs), false)
    assert.equal(await one.replaceToken(key, { parts: { old: 900, new: 7, more: 1 } }, next, hourMs), false)
    const replaced = await Promise.all([one, two].map((store) => store.replaceToken(key, seen, next, hourMs)))
    assert.equal(replaced.filter(Boolean).length, 1)
    assert.deepEqual(await two.readToken(key), { parts: { new: 8 } })
    assert.equal(await one.replaceToken(fresh(), { parts: {} }, next, hourMs), false)
  })

  test('raising gives a new time to live', async () => {
    const { one, two, fresh } = clients()
    const [longer, same] = [fresh(), fresh()]
    await Promise.all([longer, same].map((key) => one.raiseToken(key, 'e', 10, 200)))
    await one.raiseToken(longer, 'e', 1, hourMs)
    await until('the other has expired', async () => (await two.readToken(same)) === null)
    assert.deepEqual(await two.readToken(longer), { parts: { e: 10 } })
  })
}
