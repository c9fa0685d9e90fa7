import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { createClient, type RedisClientType } from 'redis'
import { findRedis } from '../../scripts/services.ts'
import { createRedisStore } from '../../src/store/redis/redis-store.ts'
import { storeContract, until, type StoreServerUnderTest } from '../../src/testing/index.ts'
import { startRedisCluster, startRedisProcess } from '../support/redis-process.ts'

const skip = (await findRedis()) === null ? 'no Redis server on this machine' : false

storeContract({ name: 'redis', start: () => startRedisProcess(), survivesRestart: false, skip })
storeContract({ name: 'redis, over a client of the user’s', start: startWithClient, survivesRestart: false, skip })
storeContract({ name: 'redis, as a cluster of one', start: startRedisCluster, survivesRestart: false, skip })

/** The user's own client, with its own ideas of reconnecting and queueing. */
async function startWithClient(): Promise<StoreServerUnderTest> {
  const server = await startRedisProcess()
  const clients: RedisClientType[] = []
  return {
    ...server,
    connect: async ({ deadlineMs }) => {
      const client: RedisClientType = createClient({ url: server.url, socket: { reconnectStrategy: () => 5 } })
      client.on('error', () => undefined)
      clients.push(client)
      await client.connect()
      return createRedisStore({ client, deadlineMs })
    },
    stop: async () => {
      for (const client of clients) {
        assert.equal(client.isOpen, true, 'a store closes only what it opened')
        client.destroy()
      }
      await server.stop()
    },
  }
}

test('a redis store keeps to its prefix', { skip }, async (t) => {
  const server = await startRedisProcess()
  t.after(() => server.stop())
  const [a, b] = ['a:', 'b:'].map((prefix) => createRedisStore({ url: server.url, deadlineMs: 5000, prefix }))
  t.after(() => Promise.all([a!.close(), b!.close()]))
  await a!.create('k', {}, { ttlMs: 60_000 })
  assert.equal(await b!.read('k'), null)
  assert.deepEqual(await b!.list(''), [])
  assert.deepEqual(await a!.list(''), ['k'])
})

test('scripts that the server has forgotten are sent again', { skip }, async (t) => {
  const server = await startRedisProcess()
  t.after(() => server.stop())
  const store = createRedisStore({ url: server.url, deadlineMs: 5000 })
  t.after(() => store.close())
  const client = await connectClient(t, server.url)
  await store.raiseToken('k', 'e', 1, 60_000)
  await client.sendCommand(['SCRIPT', 'FLUSH'])
  await store.raiseToken('k', 'e', 2, 60_000)
  assert.deepEqual(await store.readToken('k'), { parts: { e: 2 } })
})

test('a server that became a replica of another counts as another memory', { skip }, async (t) => {
  const [one, other] = await Promise.all([startRedisProcess(), startRedisProcess()])
  t.after(() => Promise.all([one.stop(), other.stop()]))
  const store = createRedisStore({ url: one.url, deadlineMs: 1000 })
  t.after(() => store.close())
  const before = await store.incarnation()
  const client = await connectClient(t, one.url)
  await client.sendCommand(['REPLICAOF', '127.0.0.1', new URL(other.url).port])
  await until('the new replica follows', async () =>
    (await client.sendCommand<string>(['INFO', 'replication'])).includes('link_status:up'),
  )
  await assert.rejects(store.raiseToken('k', 'e', 1, 60_000), { code: 'FF_STORE_UNAVAILABLE' })
  assert.notEqual(await store.incarnation(), before)
})

test('what the server refuses is named', { skip }, async (t) => {
  const server = await startRedisProcess()
  t.after(() => server.stop())
  const client = await connectClient(t, server.url)
  const store = createRedisStore({ url: server.url, deadlineMs: 5000, prefix: '' })
  t.after(() => store.close())
  await client.set('r:k', 'no hash')
  await assert.rejects(store.read('k'), { code: 'FF_STORE_ANSWER' })
})

/** A client beside the store, for looking and meddling. It may outlive its server by a moment. */
async function connectClient(t: TestContext, url: string): Promise<RedisClientType> {
  const client: RedisClientType = createClient({ url, socket: { reconnectStrategy: false } })
  client.on('error', () => undefined)
  await client.connect()
  t.after(() => client.isOpen && client.destroy())
  return client
}
