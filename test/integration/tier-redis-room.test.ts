import assert from 'node:assert/strict'
import { test } from 'node:test'

import { findRedis } from '../../scripts/services.ts'
import { connectStore } from '../../src/store/connect.ts'
import { createRedisTier } from '../../src/store/redis/redis-tier.ts'
import { startRedisProcess } from '../support/redis-process.ts'

const skip = (await findRedis()) === null ? 'no Redis server on this machine' : false
const hourMs = 3_600_000

for (const policy of ['noeviction', 'allkeys-lru']) {
  test(`a cache does not fill the Redis in which the sessions are: ${policy}`, { skip }, async (t) => {
    const server = await startRedisProcess({ args: ['--maxmemory', '24mb', '--maxmemory-policy', policy] })
    t.after(() => server.stop())
    // Asked before each value, since the test is quicker than any cache.
    const tier = createRedisTier({ url: server.url, deadlineMs: 5000, headroomMs: 0 })
    const store = await connectStore({ url: server.url, deadlineMs: 5000 })
    t.after(() => Promise.all([tier.close(), store.close()]))
    const value = new Uint8Array(500_000)
    const keys = Array.from({ length: 100 }, (_, n) => `k${n}`)
    for (const key of keys) await tier.set(key, value, hourMs)
    assert.equal(await store.create('session', { a: new Uint8Array(100_000) }, { ttlMs: hourMs }), true)
    const kept = (await tier.getMany(keys)).filter((found) => found !== null).length
    assert.ok(kept > 10 && kept < 60, `${kept} kept`)
    // Without eviction the first that fit stay; with it, any may be gone, but there is room for new ones.
    const late = (await tier.getMany(keys.slice(60))).filter((found) => found !== null).length
    assert.equal(late > 0, policy !== 'noeviction', `${late} of the last forty`)
  })
}
