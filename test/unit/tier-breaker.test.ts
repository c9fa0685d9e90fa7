import assert from 'node:assert/strict'
import { test } from 'node:test'

import { FourfoldError } from '../../src/core/errors.ts'
import { openMemoryTier } from '../../src/store/memory/memory-tier.ts'
import { VolatileValues } from '../../src/store/memory/volatile.ts'
import { guardTier, type GuardedTier } from '../../src/store/tier-breaker.ts'
import { noTier, type CacheTier } from '../../src/store/tier.ts'
import { until } from '../../src/testing/index.ts'

const hourMs = 3_600_000

interface Faulty {
  readonly guarded: GuardedTier
  readonly calls: string[]
  broken: boolean
}

function faulty(): Faulty {
  const tier = openMemoryTier()
  const faults: Faulty = { guarded: null as unknown as GuardedTier, calls: [], broken: false }
  const ask = <T>(name: string, work: () => Promise<T>): Promise<T> => {
    faults.calls.push(name)
    return faults.broken ? Promise.reject(new FourfoldError('FF_STORE_DEADLINE', 'planted')) : work()
  }
  const inner: CacheTier = {
    driver: 'memory',
    maxValueBytes: tier.maxValueBytes,
    getMany: (keys) => ask('getMany', () => tier.getMany(keys)),
    set: (key, value, ttlMs) => ask('set', () => tier.set(key, value, ttlMs)),
    delete: (key) => ask('delete', () => tier.delete(key)),
    ping: () => ask('ping', () => tier.ping()),
    close: () => tier.close(),
  }
  return Object.assign(faults, { guarded: guardTier(inner, { firstPauseMs: 2, longestPauseMs: 8 }) })
}

test('a tier that works is passed through and counted', async (t) => {
  const { guarded } = faulty()
  t.after(() => guarded.close())
  await guarded.set('a', Buffer.from('1'), hourMs)
  const values = await guarded.getMany(['a', 'b'])
  assert.deepEqual(
    values.map((value) => value && Buffer.from(value).toString()),
    ['1', null],
  )
  await guarded.delete('a')
  assert.deepEqual(guarded.counts(), { hits: 1, misses: 1, stored: 1, failures: 0, skipped: 0, trips: 0 })
  await assert.rejects(guarded.set('a', Buffer.from('1'), 0), { code: 'FF_STORE_ARGUMENT' })
  assert.equal(guarded.counts().failures, 0)
})

test('a dead tier is asked three times, then not at all until a ping finds it alive', async (t) => {
  const faults = faulty()
  const { guarded, calls } = faults
  t.after(() => guarded.close())
  await guarded.set('a', Buffer.from('1'), hourMs)
  faults.broken = true
  for (let read = 0; read < 50; read += 1) assert.deepEqual(await guarded.getMany(['a', 'b']), [null, null])
  await guarded.set('c', Buffer.from('2'), hourMs)
  assert.equal(calls.filter((name) => name === 'getMany').length, 3)
  assert.equal(guarded.isOpen, false)
  assert.deepEqual(guarded.counts(), { hits: 0, misses: 0, stored: 1, failures: 3, skipped: 2 * 47 + 1, trips: 1 })
  await until('it was pinged some times', () => calls.filter((name) => name === 'ping').length >= 3)
  assert.equal(guarded.isOpen, false)
  faults.broken = false
  await until('it is open', () => guarded.isOpen)
  assert.equal((await guarded.getMany(['a']))[0]?.length, 1)
})

test('failures that are not in a row do not end a tier', async (t) => {
  const faults = faulty()
  t.after(() => faults.guarded.close())
  for (let round = 0; round < 5; round += 1) {
    faults.broken = true
    await faults.guarded.getMany(['a'])
    await faults.guarded.getMany(['a'])
    faults.broken = false
    await faults.guarded.getMany(['a'])
  }
  assert.equal(faults.guarded.isOpen, true)
  assert.equal(faults.guarded.counts().failures, 10)
})

test('no more pings after close, and calls are refused by name', async () => {
  const faults = faulty()
  faults.broken = true
  for (let read = 0; read < 3; read += 1) await faults.guarded.getMany(['a'])
  await faults.guarded.close()
  faults.broken = false
  await assert.rejects(faults.guarded.getMany(['a']), { code: 'FF_CORE_CLOSED' })
})

test('no tier keeps nothing', async () => {
  await noTier.set('a', Buffer.from('1'), hourMs)
  assert.deepEqual(await noTier.getMany(['a', 'b']), [null, null])
})

test('the embedded tier is bounded by bytes, and forgets first what was used least lately', () => {
  const values = new VolatileValues(10_000)
  const get = (key: string): boolean => (values.execute(['tierGet', [key]]) as unknown[])[0] !== null
  for (let n = 0; n < 8; n += 1) values.execute(['tierSet', `k${n}`, new Uint8Array(1000), hourMs])
  assert.equal(get('k0'), false)
  assert.equal(get('k1'), true)
  values.execute(['tierSet', 'k8', new Uint8Array(1000), hourMs])
  assert.deepEqual(['k1', 'k2', 'k3'].map(get), [true, false, true])
  // Replacing and deleting give room back.
  for (let n = 0; n < 50; n += 1) values.execute(['tierSet', 'k8', new Uint8Array(1000), hourMs])
  assert.deepEqual(['k1', 'k3', 'k8'].map(get), [true, true, true])
  values.execute(['tierSet', 'large', new Uint8Array(20_000), hourMs])
  assert.equal(get('large'), false)
})

test('the embedded tier answers no more at once than a frame takes', () => {
  const values = new VolatileValues(256 * 1024 * 1024)
  const keys = Array.from({ length: 12 }, (_, n) => `k${n}`)
  for (const key of keys) values.execute(['tierSet', key, new Uint8Array(4 * 1024 * 1024), hourMs])
  const count = (): number => (values.execute(['tierGet', keys]) as unknown[]).filter((value) => value !== null).length
  values.beginAnswer()
  assert.equal(count(), 8)
  values.beginAnswer()
  assert.equal(count(), 8)
})
