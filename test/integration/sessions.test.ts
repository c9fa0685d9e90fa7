/** Sessions over two clones that are processes of their own, on each driver of the store. */

import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { describe, it, before, after } from 'node:test'
import { findRedis } from '../../scripts/services.ts'
import { createSessions, type Sessions } from '../../src/sessions/sessions.ts'
import { connectStore } from '../../src/store/connect.ts'
import type { Store } from '../../src/store/store.ts'
import { until } from '../../src/testing/until.ts'
import { testSecret } from '../support/http-app.ts'
import { startRedisProcess } from '../support/redis-process.ts'
import { prepareCrash, startSqlStoreServer } from '../support/sql-store-server.ts'
import { startStoreProcess } from '../support/store-process.ts'

interface StoreUnderTest {
  readonly url: string
  pause(): void
  resume(): void
  readonly restart?: () => Promise<void>
  stop(): Promise<void>
}

async function startMemory(): Promise<StoreUnderTest> {
  const server = await startStoreProcess()
  return { ...server, url: `unix:${server.settings.socketPath}` }
}

async function startClone(url: string, deadlineMs = 2000): Promise<{ url: string; stop(): Promise<void> }> {
  const entry = new URL('../support/session-clone.ts', import.meta.url)
  const child = fork(entry, {
    execArgv: ['-C', 'fourfold:source'],
    env: { ...process.env, STORE_URL: url, STORE_DEADLINE_MS: String(deadlineMs) },
  })
  const [address] = (await once(child, 'message')) as [string]
  return {
    url: address,
    stop: async () => {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** A Redis that keeps nothing: killing it is no part of what it promises. */
async function startRedis(): Promise<StoreUnderTest> {
  const { restart: _, ...server } = await startRedisProcess()
  return server
}

async function startSql(): Promise<StoreUnderTest> {
  const server = await startSqlStoreServer()
  const { host, port, user, database } = server.address
  const restart = await prepareCrash(server.address)
  return { ...server, restart, url: `postgres://${user}@/${database}?host=${host}&port=${port}` }
}

const drivers: { name: string; start: () => Promise<StoreUnderTest>; skip: string | false }[] = [
  { name: 'memory', start: startMemory, skip: false },
  { name: 'redis', start: startRedis, skip: (await findRedis()) === null ? 'no Redis server on this machine' : false },
  { name: 'sql', start: startSql, skip: false },
]

for (const driver of drivers) {
  describe(`sessions over two clones, ${driver.name} store`, { skip: driver.skip }, () => {
    let server: StoreUnderTest
    let clones: Awaited<ReturnType<typeof startClone>>[]
    let store: Store
    let sessions: Sessions

    before(async () => {
      server = await driver.start()
      clones = await Promise.all([startClone(server.url), startClone(server.url)])
      store = await connectStore({ url: server.url, deadlineMs: 2000 })
      sessions = createSessions({ store, secrets: [testSecret] })
      await until('the store answers', () => store.ping().then(() => true))
    })

    after(async () => {
      await store.close()
      await Promise.all(clones.map((clone) => clone.stop()))
      await server.stop()
    })

    let turn = 0
    const anyClone = (): string => clones[turn++ % clones.length]?.url ?? ''

    async function ask(path: string, cookie?: string): Promise<Response> {
      const response = await fetch(`${anyClone()}${path}`, {
        headers: cookie === undefined ? {} : { cookie: `ff_session=${cookie}` },
      })
      await response.clone().arrayBuffer()
      return response
    }

    async function login(): Promise<string> {
      const response = await ask('/login')
      const line = response.headers.getSetCookie().find((header) => header.startsWith('ff_session='))
      assert.ok(line !== undefined, await response.text())
      return line.slice('ff_session='.length, line.indexOf(';'))
    }

    async function keysMissing(cookie: string, keys: readonly string[]): Promise<string[]> {
      const session = sessions.open(cookie)
      const found = await Promise.all(keys.map(async (key) => [key, await session.get(key)] as const))
      return found.filter(([, value]) => value !== 1).map(([key]) => key)
    }

    it('lose none of 400 parallel writes to different keys of 100 sessions', async () => {
      const cookies = await Promise.all(Array.from({ length: 100 }, login))
      const keys = ['a', 'b', 'c', 'd']
      const answers = await Promise.all(keys.flatMap((key) => cookies.map((cookie) => ask(`/set?key=${key}`, cookie))))
      assert.deepEqual(
        answers.filter((answer) => answer.status !== 200),
        [],
      )
      const missing = (await Promise.all(cookies.map((cookie) => keysMissing(cookie, keys)))).flat()
      assert.deepEqual(missing, [])
    })

    it('lose none of 400 parallel writes to different keys of one session', async () => {
      const cookie = await login()
      const keys = Array.from({ length: 400 }, (_, index) => `key${index}`)
      const answers = await Promise.all(keys.map((key) => ask(`/set-own?key=${key}`, cookie)))
      assert.deepEqual(
        answers.filter((answer) => answer.status !== 200),
        [],
      )
      assert.deepEqual(await keysMissing(cookie, keys), [])
    })

    it('would be seen to lose writes if they were written as a whole', async () => {
      const key = 'planted'
      await store.create(key, { all: Buffer.from('{}') }, { ttlMs: 60_000 })
      const write = async (name: string): Promise<void> => {
        const fields = await store.read(key)
        const all = JSON.parse(Buffer.from(fields?.['all'] ?? []).toString())
        await store.update(key, { set: { all: Buffer.from(JSON.stringify({ ...all, [name]: 1 })) } })
      }
      await Promise.all(Array.from({ length: 40 }, (_, index) => write(`key${index}`)))
      const kept = JSON.parse(Buffer.from((await store.read(key))?.['all'] ?? []).toString())
      assert.ok(Object.keys(kept).length < 40)
    })

    it('count every one of 100 parallel updates of one key', async () => {
      const cookie = await login()
      const answers = await Promise.all(Array.from({ length: 100 }, () => ask('/count', cookie)))
      assert.deepEqual(
        answers.filter((answer) => answer.status !== 200),
        [],
      )
      assert.equal(await sessions.open(cookie).get('count'), 100)
    })

    it('are never revived after a logout by requests under way', async () => {
      const cookies = await Promise.all(Array.from({ length: 50 }, login))
      await Promise.all(
        cookies.map(async (cookie) => {
          const work = Array.from({ length: 6 }, (_, index) =>
            ask(index === 2 ? '/logout' : `/set-own?key=k${index}`, cookie),
          )
          const answers = await Promise.all(work)
          for (const answer of answers) assert.ok([200, 409].includes(answer.status), `${answer.status}`)
          for (const clone of clones) {
            const response = await fetch(`${clone.url}/user`, { headers: { cookie: `ff_session=${cookie}` } })
            assert.deepEqual(await response.json(), { user: null })
          }
          assert.equal(await sessions.open(cookie).get('k0'), undefined)
        }),
      )
    })

    it('live on when the clone that made them is killed', async () => {
      const third = await startClone(server.url)
      const response = await fetch(`${third.url}/login`)
      await third.stop()
      const cookie = (response.headers.getSetCookie()[0] ?? '').split(';')[0]?.slice('ff_session='.length)
      assert.deepEqual(await (await ask('/user', cookie)).json(), { user: 7 })
    })

    it('answer 503 within the deadline while the store hangs, and routes without them go on', async (t) => {
      const clone = await startClone(server.url, 250)
      t.after(() => clone.stop())
      const cookie = await login()
      const headers = { cookie: `ff_session=${cookie}` }
      const askTimed = async (path: string): Promise<{ status: number; ms: number }> => {
        const began = performance.now()
        const { status } = await fetch(`${clone.url}${path}`, { headers })
        return { status, ms: performance.now() - began }
      }
      await until('the clone reads sessions', async () => (await askTimed('/user')).status === 200)
      server.pause()
      try {
        for (const path of ['/user', '/set?key=a', '/set-own?key=a', '/count', '/login', '/logout']) {
          const { status, ms } = await askTimed(path)
          assert.equal(status, 503, path)
          assert.ok(ms < 500, `${path} took ${ms} ms`)
        }
        assert.equal((await askTimed('/plain')).status, 200)
      } finally {
        server.resume()
      }
      await until('the clone reads sessions again', async () => (await askTimed('/user')).status === 200)
    })

    it('keep every write that was acknowledged before the store was killed', async (t) => {
      const { restart } = server
      if (restart === undefined) return t.skip('this driver promises no more than its server')
      const cookie = await login()
      const keys = Array.from({ length: 400 }, (_, index) => `key${index}`)
      let killed: Promise<void> = Promise.resolve()
      let answered = 0
      const written = await Promise.all(
        keys.map(async (key) => {
          const response = await ask(`/set?key=${key}`, cookie)
          if (++answered === 20) killed = restart()
          return response.status === 200 && response.headers.getSetCookie().length === 0 ? key : null
        }),
      )
      await killed
      await until('the store answers', () => store.ping().then(() => true))
      const acknowledged = written.filter((key) => key !== null)
      t.diagnostic(`${acknowledged.length} of 400 were acknowledged`)
      assert.deepEqual(await keysMissing(cookie, acknowledged), [])
    })
  })
}
