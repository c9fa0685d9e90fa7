/** The part of the stores' contract that leases are: one holder at a time, and fences that only rise. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../until.ts'
import { hourMs, type Clients } from './parts.ts'

export function leaseTests(clients: () => Clients): void {
  test('one holder at a time, and the holder keeps its fence', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    const taken = await Promise.all([one.acquireLease(key, 'a', hourMs), two.acquireLease(key, 'b', hourMs)])
    const held = taken.find((lease) => lease !== null)
    assert.ok(held !== undefined && held !== null)
    assert.equal(taken.filter((lease) => lease !== null).length, 1)
    assert.deepEqual(await two.acquireLease(key, held.holder, hourMs), held)
    assert.equal(await two.renewLease(held, hourMs), true)
    assert.equal(await two.renewLease({ ...held, fence: held.fence + 1 }, hourMs), false)
    assert.equal(await two.renewLease({ ...held, holder: 'c' }, hourMs), false)
    await two.releaseLease({ ...held, fence: held.fence + 1 })
    assert.equal(await one.acquireLease(key, 'c', hourMs), null)
  })

  test('fences only rise: after release, after expiry, for every new holder', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    let last = 0
    for (let round = 0; round < 6; round += 1) {
      const store = round % 2 === 0 ? one : two
      const ttlMs = round % 3 === 0 ? 30 : hourMs
      const lease = await until('the lease is free', () => store.acquireLease(key, `holder ${round}`, ttlMs))
      assert.ok(Number.isSafeInteger(lease.fence) && lease.fence > last, `${lease.fence} after ${last}`)
      last = lease.fence
      if (ttlMs === hourMs) await store.releaseLease(lease)
    }
  })

  test('a lease that expired cannot be renewed, and its old holder does not give away the new one', async () => {
    const { one, two, fresh } = clients()
    const key = fresh()
    const old = await one.acquireLease(key, 'a', 30)
    assert.ok(old !== null)
    const next = await until('the lease is free', () => two.acquireLease(key, 'b', hourMs))
    assert.equal(await one.renewLease(old, hourMs), false)
    await one.releaseLease(old)
    assert.equal(await one.acquireLease(key, 'a', hourMs), null)
    assert.equal(await two.renewLease(next, hourMs), true)
  })
}
