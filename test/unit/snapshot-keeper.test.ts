import assert from 'node:assert/strict'
import { suite, test, type TestContext } from 'node:test'

import { ChangeFollower, type FollowerOptions } from '../../src/freshness/changes/follower.ts'
import { hashVersion } from '../../src/freshness/changes/hash.ts'
import { SnapshotKeeper } from '../../src/freshness/changes/snapshot-keeper.ts'
import { SnapshotShelf } from '../../src/freshness/changes/snapshot-shelf.ts'
import { silentLogger as log } from '../../src/core/log.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import { openMemoryTier } from '../../src/store/memory/memory-tier.ts'
import { noTier, type CacheTier } from '../../src/store/tier.ts'
import { waitFor } from '../support/wait-for.ts'

const heard = { hashVersion, epoch: 'e', tracker: 't', visible: 0, commits: [], coverageId: '', coverage: null }

function follower(from: number, to: number, epoch = 'e'): ChangeFollower {
  const store = null as unknown as FollowerOptions['store']
  const made = new ChangeFollower({ database: 'main', store, filterSlots: 64, log })
  made.accept({ ...heard, epoch, from, to })
  return made
}

function ground(t: TestContext) {
  const [tier, store] = [openMemoryTier(), openMemoryStore()]
  t.after(() => Promise.all([tier.close(), store.close()]))
  let holders = 0
  const keep = (from: ChangeFollower, options: { everyMs?: number; tier?: CacheTier } = {}): SnapshotKeeper => {
    const holder = `holder ${(holders += 1)}`
    const keeper = new SnapshotKeeper({
      database: 'main',
      follower: from,
      tier,
      store,
      holder,
      everyMs: 5,
      log,
      ...options,
    })
    keeper.start()
    t.after(() => keeper.stop())
    return keeper
  }
  return { tier, shelf: new SnapshotShelf(tier, 'main'), keep }
}

suite('who keeps snapshots', () => {
  // Planted by hand and seen to fail this test: what is there is not taken over before a write.
  test('who knows little takes over what is there before it writes', async (t) => {
    const { keep, shelf, tier } = ground(t)
    await shelf.put(follower(10, 100).snapshot()!)
    const joiner = follower(90, 120)
    let calls = 0
    // It looks before it writes, too, and is told of nothing then.
    const getMany: CacheTier['getMany'] = async (keys) => ((calls += 1) === 1 ? [null] : await tier.getMany(keys))
    const set: CacheTier['set'] = (...given) => tier.set(...given)
    keep(joiner, { tier: { ...noTier, driver: 'memory', maxValueBytes: tier.maxValueBytes, getMany, set } })
    const head = await waitFor('it has written', async () => {
      const found = await shelf.head('e')
      return found?.watermark === 120 ? found : null
    })
    assert.deepEqual([head.floor, joiner.filter!.floor], [10, 10])
  })

  test('one that does not reach far enough is written over', async (t) => {
    const { keep, shelf } = ground(t)
    await shelf.put(follower(10, 89).snapshot()!)
    const joiner = follower(90, 120)
    keep(joiner)
    await waitFor('it has written', async () => (await shelf.head('e'))?.watermark === 120)
    assert.equal(joiner.filter!.floor, 90)
  })

  test('behind a gap and in another epoch it is looked for again', async (t) => {
    const { keep, shelf } = ground(t)
    await shelf.put(follower(10, 100).snapshot()!)
    const joiner = follower(90, 120)
    const keeper = keep(joiner, { everyMs: 60_000 })
    await waitFor('it has taken the first over', () => joiner.filter!.floor === 10)
    await shelf.put(follower(10, 200).snapshot()!)
    joiner.accept({ ...heard, from: 150, to: 210 })
    assert.equal(joiner.filter!.floor, 150)
    await waitFor('it has taken the second over', () => joiner.filter!.floor === 10)
    await shelf.put(follower(20, 50, 'f').snapshot()!)
    joiner.accept({ ...heard, epoch: 'f', from: 40, to: 60 })
    await waitFor('it has taken the third over', () => joiner.filter!.floor === 20)
    assert.equal(keeper.counts.merged, 3)
  })

  test('waits until the stream has come to where a snapshot was taken', async (t) => {
    const { keep, shelf } = ground(t)
    await shelf.put(follower(10, 200).snapshot()!)
    const joiner = follower(90, 120)
    const keeper = keep(joiner, { everyMs: 60_000 })
    joiner.accept({ ...heard, from: 120, to: 199 })
    assert.equal(joiner.filter!.floor, 90)
    joiner.accept({ ...heard, from: 199, to: 200 })
    await waitFor('it has taken it over', () => joiner.filter!.floor === 10)
    assert.equal(keeper.counts.merged, 1)
  })

  test('stops at once while it waits for the stream', async (t) => {
    const { keep, shelf, tier } = ground(t)
    await shelf.put(follower(10, 200).snapshot()!)
    const { promise: asked, resolve } = Promise.withResolvers<void>()
    const getMany: CacheTier['getMany'] = async (keys) => {
      const values = await tier.getMany(keys)
      resolve()
      return values
    }
    const joiner = follower(90, 120)
    const watched = { ...noTier, driver: 'memory' as const, maxValueBytes: 1, getMany }
    const keeper = keep(joiner, { everyMs: 60_000, tier: watched })
    await asked
    const began = performance.now()
    await keeper.stop()
    await joiner.stop()
    assert.ok(performance.now() - began < 5_000)
  })

  test('one process writes, again only when the last is gone or knows less', async (t) => {
    const { keep, shelf, tier } = ground(t)
    const [one, two] = [follower(10, 100), follower(10, 100)]
    const keepers = [keep(one, { everyMs: 50 }), keep(two, { everyMs: 50 })]
    const written = (): number => keepers.reduce((sum, { counts }) => sum + counts.written, 0)
    await waitFor('one has written', () => written() === 1)
    for (const each of [one, two]) each.accept({ ...heard, from: 100, to: 110 })
    await tier.delete('filter:main:e')
    await waitFor('it is there again', async () => (await shelf.head('e'))?.watermark === 110)
    const everything = { to: 120, tables: [], wide: [], everything: true, hashes: new Uint32Array() }
    for (const each of [one, two]) each.accept({ ...heard, from: 110, to: 125, commits: [everything] })
    await waitFor('it has the new floor', async () => (await shelf.head('e'))?.floor === 120)
    assert.ok(written() <= 6, `${written()} were written`)
  })

  test('does nothing where there is no tier, and goes on where it fails', async (t) => {
    const { keep, tier, shelf } = ground(t)
    let calls = 0
    const counted = { ...noTier, getMany: async () => ((calls += 1), []) }
    await keep(follower(10, 100), { tier: counted }).stop()
    assert.equal(calls, 0)
    let failures = 5
    const flaky: CacheTier = {
      ...noTier,
      driver: 'memory',
      maxValueBytes: tier.maxValueBytes,
      getMany: (keys) => ((failures -= 1) >= 0 ? Promise.reject(new Error('away')) : tier.getMany(keys)),
      set: (...given) => tier.set(...given),
    }
    const joiner = follower(90, 120)
    await shelf.put(follower(10, 100).snapshot()!)
    keep(joiner, { tier: flaky })
    await waitFor('it has taken it over', () => joiner.filter!.floor === 10)
  })
})
