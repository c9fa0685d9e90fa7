/** Reads of streams that wait, where the contract of stores cannot look: servers that stay away, clients that leave. */

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { createClient } from 'redis'

import { findRedis } from '../../scripts/services.ts'
import { isFourfoldError } from '../../src/core/errors.ts'
import { silentLogger } from '../../src/core/log.ts'
import { connectStore } from '../../src/store/connect.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import { machineMs, type Operation } from '../../src/store/memory/operations.ts'
import { ParkedReads } from '../../src/store/memory/parked.ts'
import { startStoreServer } from '../../src/store/memory/server.ts'
import type { StreamAnswer } from '../../src/store/memory/streams.ts'
import type { Store } from '../../src/store/store.ts'
import { until } from '../../src/testing/index.ts'
import { startRedisProcess } from '../support/redis-process.ts'
import { startStoreProcess } from '../support/store-process.ts'

const kept = { maxEntries: 10, ttlMs: 60_000 }
const noRedis = (await findRedis()) === null ? 'no Redis server on this machine' : false
const drivers = [
  { name: 'memory', start: () => startStoreProcess(), skip: false },
  { name: 'redis', start: () => startRedisProcess(), skip: noRedis },
] as const

for (const { name, start, skip } of drivers) {
  test(
    `${name}: a read that waits learns within a deadline that its server was killed and stays away`,
    { skip },
    async (t) => {
      const server = await start()
      t.after(() => server.stop())
      const store = await server.connect({ deadlineMs: 150 })
      t.after(() => store.close())
      await until('the client is connected', () => store.ping())
      const number = await store.appendToStream('s', Buffer.from('a'), kept)
      const waiting = store.readStream('s', number, { waitMs: 30_000 }).catch((error: unknown) => error)
      await store.ping()
      await server.kill()
      const began = performance.now()
      const error = await waiting
      assert.ok(
        isFourfoldError(error, 'FF_STORE_UNAVAILABLE') || isFourfoldError(error, 'FF_STORE_DEADLINE'),
        String(error),
      )
      assert.ok(performance.now() - began < 150 + 1500)
      await server.start()
      await until('the next one works', async () => (await store.readStream('s', 0, { waitMs: 1 })) !== null)
    },
  )

  test(`${name}: a paused server ends a wait at its deadline`, { skip }, async (t) => {
    const server = await start()
    t.after(() => server.stop())
    const store = await server.connect({ deadlineMs: 100 })
    t.after(() => store.close())
    await until('the client is connected', () => store.ping())
    const waiting = store.readStream('s', 0, { waitMs: 200 }).catch((error: unknown) => error)
    await store.ping()
    server.pause()
    t.after(() => server.resume())
    const began = performance.now()
    const error = await waiting
    assert.ok(
      isFourfoldError(error, 'FF_STORE_DEADLINE') || isFourfoldError(error, 'FF_STORE_UNAVAILABLE'),
      String(error),
    )
    assert.ok(performance.now() - began < 300 + 1500)
  })
}

test(
  'redis: waits have connections of their own, opened when somebody waits, and few are kept',
  { skip: noRedis },
  async (t) => {
    const server = await startRedisProcess()
    t.after(() => server.stop())
    const store = await server.connect({ deadlineMs: 5000 })
    t.after(() => store.close())
    const client = createClient({ url: server.url, socket: { reconnectStrategy: false } })
    client.on('error', () => undefined)
    await client.connect()
    t.after(() => client.isOpen && client.destroy())
    const count = async (): Promise<number> =>
      (await client.sendCommand<string>(['CLIENT', 'LIST'])).trim().split('\n').length
    await until('the client is connected', () => store.ping())
    assert.equal(await count(), 2, 'none before anybody waits')
    // The first waits may be shorter than it takes to connect.
    await until('one was opened', async () => {
      await store.readStream('s', 0, { waitMs: 15 })
      return (await count()) >= 3
    })
    for (let turn = 0; turn < 5; turn += 1) await store.readStream('s', 0, { waitMs: 15 })
    assert.ok((await count()) <= 2 + 4)
    await Promise.all(Array.from({ length: 8 }, () => store.readStream('s', 0, { waitMs: 200 })))
    await until('no more are kept than are of use', async () => (await count()) <= 2 + 4)
  },
)

test('memory: a server that stops answers those who wait', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'ff-store-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const socketPath = join(directory, 's.sock')
  const server = await startStoreServer({ socketPath, logPath: join(directory, 'log'), log: silentLogger })
  const store = await connectStore({ url: `unix:${socketPath}`, deadlineMs: 5000 })
  t.after(() => store.close())
  const waiting = store.readStream('s', 0, { waitMs: 30_000 })
  await store.ping()
  await server.stop()
  assert.deepEqual(await waiting, { entries: [], last: 0, gap: false })
})

test('memory: a stream that expires while somebody waits is told of', async (t) => {
  const store = localStore(t)
  const number = await store.appendToStream('s', Buffer.from('a'), { maxEntries: 1, ttlMs: 30 })
  const page = await store.readStream('s', number, { waitMs: 30_000 })
  assert.deepEqual(page, { entries: [], last: 0, gap: true })
})

test('memory: in one process, a read waits, is woken, and ends with close', async (t) => {
  const store = localStore(t)
  const waiting = store.readStream('s', 0, { waitMs: 30_000 })
  const number = await store.appendToStream('s', Buffer.from('a'), kept)
  assert.equal((await waiting).last, number)
  const last = store.readStream('s', number, { waitMs: 30_000 })
  const refused = assert.rejects(last, { code: 'FF_CORE_CLOSED' })
  await store.close()
  await refused
})

test('memory: who went away is forgotten, the others are not', () => {
  const page: StreamAnswer = [[], 0, false]
  const answered: string[] = []
  const parked = new ParkedReads<string>(() => page)
  const follow = (stream: string): Extract<Operation, readonly ['followStream', ...unknown[]]> => [
    'followStream',
    stream,
    0,
    10,
    machineMs() + 30_000,
  ]
  for (const asker of ['a', 'b']) parked.ask(asker, follow('s'), () => answered.push(asker))
  parked.forget('a')
  parked.releaseAll()
  assert.deepEqual(answered, ['b'])
  parked.releaseAll()
  assert.deepEqual(answered, ['b'])
})

function localStore(t: TestContext): Store {
  const store = openMemoryStore()
  t.after(() => store.close())
  return store
}
