/** The part of the stores' contract that budgets are: never more than there is, whoever spends. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../until.ts'
import { assertRejects, type Clients } from './parts.ts'

const minuteMs = 60_000

export function budgetTests(clients: () => Clients): void {
  test('a budget grants what it holds, and no more to two clients at once', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? one : two).spend(key, 12_000, minuteMs)),
    )
    assert.equal(answers.filter(({ granted }) => granted).length, 5)
    const { granted, leftMs } = await two.spend(key, 12_000, minuteMs)
    assert.equal(granted, false)
    assert.ok(leftMs >= 0 && leftMs < 12_000, String(leftMs))
  })

  test('a budget tells what is left, and a cost of 0 only looks', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    assert.deepEqual(await one.spend(key, 0, minuteMs), { granted: true, leftMs: minuteMs })
    const spent = await one.spend(key, 20_000, minuteMs)
    assert.equal(spent.granted, true)
    assert.ok(Math.abs(spent.leftMs - 40_000) <= 50, String(spent.leftMs))
    const seen = await two.spend(key, 0, minuteMs)
    assert.equal(seen.granted, true)
    assert.ok(seen.leftMs >= 39_000 && seen.leftMs < 45_000, String(seen.leftMs))
    assert.deepEqual(await one.spend(fresh(), minuteMs, minuteMs), { granted: true, leftMs: 0 })
  })

  test('a refusal costs nothing', async () => {
    const { one, fresh } = clients()
    const key = fresh()
    await one.spend(key, 50_000, minuteMs)
    for (let count = 0; count < 20; count++) assert.equal((await one.spend(key, 30_000, minuteMs)).granted, false)
    assert.equal((await one.spend(key, 5000, minuteMs)).granted, true)
  })

  test('a budget fills up as time passes, and never above its capacity', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    await one.spend(key, 100, 100)
    const again = await until('the budget is full', async () => {
      const askedAt = performance.now()
      const spending = await two.spend(key, 100, 100)
      return spending.granted ? { ...spending, tookMs: performance.now() - askedAt } : null
    })
    // A store without one frozen clock a statement tells what has filled up again by the end of it.
    assert.ok(again.leftMs <= again.tookMs, `${again.leftMs} ms are left after ${again.tookMs} ms`)
  })

  test('a budget, a record, a token and a lease may have the same key', async () => {
    const { one, fresh } = clients()
    const key = fresh()
    await one.create(key, {}, { ttlMs: minuteMs })
    await one.raiseToken(key, 'e', 1, minuteMs)
    await one.acquireLease(key, 'me', minuteMs)
    assert.equal((await one.spend(key, 1000, minuteMs)).granted, true)
    assert.deepEqual(await one.read(key), {})
  })

  test('costs and capacities that make no sense are refused by name', async () => {
    const { one, fresh } = clients()
    for (const [cost, capacity] of [
      [-1, 10],
      [11, 10],
      [1.5, 10],
      [1, 0],
      [Number.NaN, 10],
    ] as const)
      await assertRejects(one.spend(fresh(), cost, capacity), 'FF_STORE_ARGUMENT')
  })
}
