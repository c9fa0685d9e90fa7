/** What a second tier that stands still, dies or comes back costs those who read through it. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { findMemcached, findRedis } from '../../scripts/services.ts'
import { SharedEntries } from '../../src/cache/shared-entries.ts'
import { connectTier } from '../../src/store/connect-tier.ts'
import { until } from '../../src/testing/index.ts'
import { startMemcachedProcess } from '../support/memcached-process.ts'
import { startRedisProcess } from '../support/redis-process.ts'
import { startStoreProcess } from '../support/store-process.ts'

const deadlineMs = 100
const noRedis = (await findRedis()) === null ? 'no Redis server on this machine' : false
const noMemcached = (await findMemcached()) === null ? 'no memcached on this machine' : false

interface TierServer {
  readonly url: string
  kill(): Promise<void>
  start(): Promise<void>
  pause(): void
  resume(): void
  stop(): Promise<void>
}

async function startEmbedded(): Promise<TierServer> {
  const server = await startStoreProcess()
  const { kill, start, pause, resume, stop } = server
  return { url: `unix:${server.settings.socketPath}`, kill, start, pause, resume, stop }
}

const servers: readonly [name: string, start: () => Promise<TierServer>, skip: string | false][] = [
  ['memory', startEmbedded, false],
  ['redis', () => startRedisProcess(), noRedis],
  ['memcached', () => startMemcachedProcess(), noMemcached],
]

for (const [name, start, skip] of servers) {
  test(
    `${name}: a tier that stands still costs a few deadlines, then nothing, and is used again`,
    { skip },
    async (t) => {
      const server = await start()
      t.after(() => server.stop())
      const shared = await connectShared(server)
      t.after(() => shared.close())
      await put(shared, 'a')
      server.pause()
      t.after(() => server.resume())
      for (let read = 0; read < 3; read += 1) {
        const began = performance.now()
        assert.deepEqual(await shared.getMany(['a']), [null])
        assert.ok(performance.now() - began < deadlineMs + 900)
      }
      const began = performance.now()
      for (let read = 0; read < 1000; read += 1) assert.deepEqual(await shared.getMany(['a', 'b']), [null, null])
      await put(shared, 'b', false)
      assert.ok(performance.now() - began < 900, 'a thousand reads take no deadline')
      assert.ok(shared.counts().skipped >= 2000)
      server.resume()
      await until('the value is found again', async () => (await shared.getMany(['a']))[0] !== null)
      assert.equal(shared.counts().trips, 1)
    },
  )

  test(
    `${name}: a tier that is killed and started again is filled again, and nobody hears of it`,
    { skip },
    async (t) => {
      const server = await start()
      t.after(() => server.stop())
      const shared = await connectShared(server)
      t.after(() => shared.close())
      await put(shared, 'a')
      await server.kill()
      const began = performance.now()
      for (let read = 0; read < 50; read += 1) assert.deepEqual(await shared.getMany(['a']), [null])
      assert.ok(performance.now() - began < 3 * deadlineMs + 1500)
      await server.start()
      await until('it takes values again', async () => {
        await put(shared, 'b', false)
        return (await shared.getMany(['b']))[0] !== null
      })
      assert.equal((await shared.getMany(['b']))[0]?.open()?.value, 'value of b')
    },
  )
}

async function connectShared({ url }: TierServer): Promise<SharedEntries> {
  const tier = await connectTier({ url, deadlineMs })
  await until('the tier is connected', () => tier.ping())
  return new SharedEntries({ tier, breaker: { firstPauseMs: 20, longestPauseMs: 100 } })
}

async function put(shared: SharedEntries, id: string, mustArrive = true): Promise<void> {
  const now = Date.now()
  const entry = { value: `value of ${id}`, parts: [], filledAtMs: now, expiresAtMs: now + 60_000, loadMs: 1 }
  const work = async (): Promise<boolean> => {
    await shared.set(id, shared.encode(id, entry), entry.expiresAtMs)
    return !mustArrive || (await shared.getMany([id]))[0] !== null
  }
  await until('it is stored', work)
}
