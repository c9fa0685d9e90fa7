/** What both adapters promise, over real sockets. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { FourfoldError } from '../../src/core/errors.ts'
import type { IncomingRequest } from '../../src/app/define-app.ts'
import type { ReaderSource } from '../../src/freshness/reader.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import type { Store } from '../../src/store/store.ts'
import {
  CookieJar,
  plantHost,
  startFastify,
  startHono,
  startNode,
  type PlantedHost,
  type StartApp,
  type TestHandler,
  type TestRequest,
} from '../support/http-app.ts'

const adapters: [string, StartApp][] = [
  ['fastify', startFastify],
  ['node:http', startNode],
  ['hono', startHono],
]

interface Running {
  readonly url: string
  readonly host: PlantedHost
  readonly store: Store & { calls: string[]; down: boolean }
}

function watch(store: Store): Store & { calls: string[]; down: boolean } {
  const seen = { calls: [] as string[], down: false }
  return new Proxy(seen as Store & typeof seen, {
    get(target, name) {
      if (name in target) return Reflect.get(target, name)
      const member = Reflect.get(store, name)
      if (typeof member !== 'function') return member
      return (...values: unknown[]) => {
        target.calls.push(String(name))
        return target.down
          ? Promise.reject(new FourfoldError('FF_STORE_DEADLINE', 'planted'))
          : member.apply(store, values)
      }
    },
  })
}

/** The reader that the database layer would be given. */
function readerOf(host: PlantedHost, request: TestRequest): ReaderSource {
  void request.ff
  return host.scopes.at(-1)!.reader
}

const routesOf = (host: PlantedHost): Record<string, TestHandler> => ({
  '/plain': async () => ({ plain: true }),
  '/user': async ({ session }) => ({ user: (await session.get('user')) ?? null }),
  '/login': async ({ session }) => {
    await session.regenerate({ renew: true })
    session.set('user', 'user:7')
    return { ok: true }
  },
  '/logout': async ({ session }) => session.destroy(),
  '/set': async ({ session }) => session.set('theme', 'dark'),
  '/read': async (request) => ({ reader: await readerOf(host, request).current() }),
  '/write': async (request) => ({ reader: await readerOf(host, request).ensure() }),
  '/fail': async ({ session }) => {
    session.set('seen', true)
    throw new Error('planted secret')
  },
})

async function run(t: TestContext, start: StartApp, options: Parameters<typeof plantHost>[1] = {}): Promise<Running> {
  const inner = openMemoryStore()
  const store = watch(inner)
  const host = plantHost(store, options)
  const app = await start(host.ff, routesOf(host))
  t.after(async () => {
    await app.close()
    await inner.close()
  })
  return { url: app.url, host, store }
}

class Client extends CookieJar {
  readonly #url: string
  constructor(url: string) {
    super()
    this.#url = url
  }
  ask(path: string, headers: Record<string, string> = {}): Promise<any> {
    return this.get(`${this.#url}${path}`, headers)
  }
  header(name: string): string | null {
    return this.last?.headers.get(name) ?? null
  }
}

const bySession = async (request: IncomingRequest): Promise<string | null> =>
  (await request.session.get<string>('user')) ?? null
const byHeader = (request: IncomingRequest): string | null => (request.headers['x-user'] as string | undefined) ?? null

for (const [name, start] of adapters) {
  describe(`sessions over ${name}`, () => {
    it('cost nothing where no handler asks for one', async (t) => {
      const { url, store } = await run(t, start)
      const client = new Client(url)
      await client.ask('/login')
      store.calls.length = 0
      assert.deepEqual(await client.ask('/plain'), { plain: true })
      assert.deepEqual(store.calls, [])
      assert.deepEqual(client.last?.headers.getSetCookie(), [])
    })

    it('live from login to logout, on plain HTTP without the prefix', async (t) => {
      const { url } = await run(t, start)
      const client = new Client(url)
      assert.deepEqual(await client.ask('/user'), { user: null })
      assert.deepEqual(client.last?.headers.getSetCookie(), [])
      await client.ask('/login')
      assert.match(client.last?.headers.getSetCookie()[0] ?? '', /^ff_session=.*; HttpOnly; SameSite=Lax$/)
      assert.deepEqual(await client.ask('/user'), { user: 'user:7' })
      const stolen = new Client(url)
      for (const [key, value] of client.cookies) stolen.cookies.set(key, value)
      await client.ask('/logout')
      assert.equal(client.cookies.has('ff_session'), false)
      assert.deepEqual(await stolen.ask('/user'), { user: null })
    })

    it('get a new id at login', async (t) => {
      const { url } = await run(t, start)
      const client = new Client(url)
      await client.ask('/set')
      const before = client.cookies.get('ff_session')
      await client.ask('/login')
      assert.notEqual(client.cookies.get('ff_session'), before)
    })

    it('carry the __Host- prefix when the balancer says that TLS was used', async (t) => {
      const { url } = await run(t, start)
      const client = new Client(url)
      await client.ask('/login', { 'x-forwarded-proto': 'https' })
      assert.match(client.last?.headers.getSetCookie()[0] ?? '', /^__Host-ff_session=.*; Secure$/)
      assert.deepEqual(await client.ask('/user', { 'x-forwarded-proto': 'https' }), { user: 'user:7' })
      assert.deepEqual(await client.ask('/user'), { user: null }, 'a prefixed cookie over plain HTTP is not ours')
    })

    it('answer 503 when the store is down, only where one is needed', async (t) => {
      const { url, store } = await run(t, start)
      const client = new Client(url)
      await client.ask('/login')
      store.down = true
      for (const path of ['/user', '/set', '/login', '/logout']) {
        assert.equal((await client.ask(path)).code, 'FF_STORE_DEADLINE', path)
        assert.equal(client.last?.status, 503)
      }
      assert.deepEqual(await client.ask('/plain'), { plain: true })
      store.down = false
      assert.deepEqual(await client.ask('/user'), { user: 'user:7' })
    })

    it('never answer success for a change that was not stored, and say nothing of it in a cookie', async (t) => {
      const { url, store } = await run(t, start)
      const client = new Client(url)
      store.down = true
      await client.ask('/set')
      assert.equal(client.last?.status, 503)
      assert.equal(client.cookies.size, 0)
    })

    it('keep what a failing handler had set, and hide what went wrong', async (t) => {
      const { url } = await run(t, start)
      const client = new Client(url)
      await client.ask('/fail')
      assert.equal(client.last?.status, 500)
      assert.ok(client.cookies.has('ff_session'))
    })

    it('take a broken cookie for none', async (t) => {
      const { url, store } = await run(t, start)
      for (const cookie of [
        'ff_session=abc',
        'ff_session=',
        ';;;=',
        'ff_session=%00%FF',
        `ff_session=${'a.'.repeat(3000)}`,
      ]) {
        const client = new Client(url)
        store.calls.length = 0
        assert.deepEqual(await client.ask('/user', { cookie }), { user: null })
        assert.deepEqual(store.calls, [])
      }
    })
  })

  describe(`readers over ${name}`, () => {
    it('have no key before the first write, and the same ever after', async (t) => {
      const { url, store } = await run(t, start)
      const client = new Client(url)
      assert.deepEqual(await client.ask('/read'), { reader: null })
      assert.equal(client.cookies.size, 0)
      const { reader } = await client.ask('/write')
      assert.match(reader, /^anon:/)
      assert.deepEqual(await client.ask('/read'), { reader })
      assert.deepEqual(await client.ask('/write'), { reader })
      assert.deepEqual(client.last?.headers.getSetCookie(), [], 'told once')
      assert.deepEqual(store.calls, [])
    })

    it('without cookies are named by a header', async (t) => {
      const { url } = await run(t, start)
      const client = new Client(url)
      const { reader } = await client.ask('/write')
      const signed = client.header('fourfold-reader') ?? ''
      client.cookies.clear()
      assert.deepEqual(await client.ask('/read', { 'fourfold-reader': signed }), { reader })
      assert.deepEqual(await client.ask('/read', { 'fourfold-reader': `x${signed}` }), { reader: null })
    })

    it('keep their key when a session begins, and when it gets another id', async (t) => {
      const { url } = await run(t, start)
      const client = new Client(url)
      const { reader } = await client.ask('/write')
      await client.ask('/set')
      assert.deepEqual(await client.ask('/read'), { reader })
      await client.ask('/login')
      assert.deepEqual(await client.ask('/read'), { reader })
    })

    it('carry what they wrote through login and logout', async (t) => {
      const { url, host } = await run(t, start, { identify: bySession })
      const client = new Client(url)
      const { reader } = await client.ask('/write')
      await client.ask('/login')
      assert.deepEqual(host.carried, [`${reader} > user:7`])
      assert.deepEqual(await client.ask('/read'), { reader: 'user:7' })
      host.carried.length = 0
      await client.ask('/logout')
      const after = (await client.ask('/read')).reader
      assert.notEqual(after, null)
      assert.ok(host.carried.includes(`user:7 > ${after}`), host.carried.join())
    })

    it('carry what they wrote to the reader that identify names later, once', async (t) => {
      const { url, host } = await run(t, start, { identify: byHeader })
      const client = new Client(url)
      const { reader } = await client.ask('/write')
      assert.deepEqual(await client.ask('/read', { 'x-user': 'user:8' }), { reader: 'user:8' })
      assert.deepEqual(host.carried, [`${reader} > user:8`])
      await client.ask('/read', { 'x-user': 'user:8' })
      assert.equal(host.carried.length, 1)
    })

    it('get no cookie where identify names them', async (t) => {
      const { url } = await run(t, start, { identify: byHeader })
      const client = new Client(url)
      assert.deepEqual(await client.ask('/write', { 'x-user': 'user:8' }), { reader: 'user:8' })
      assert.deepEqual(client.last?.headers.getSetCookie(), [])
      assert.equal(client.header('fourfold-reader'), null)
    })

    it('are pinned to the primary for a while when a write is unsettled', async (t) => {
      const { url, host } = await run(t, start)
      const client = new Client(url)
      await client.ask('/write')
      assert.equal(client.header('fourfold-freshness'), null)
      host.settled = false
      await client.ask('/write')
      assert.equal(client.header('fourfold-freshness'), 'unsettled')
      assert.match(
        client.last?.headers.getSetCookie().join() ?? '',
        /ff_pin=[^;]+; Path=\/; Max-Age=60; HttpOnly/,
        'twice maxStaleness',
      )
      host.settled = true
      await client.ask('/read')
      assert.equal(host.scopes.at(-1)?.pinned, true)
      client.cookies.set('ff_pin', `9${client.cookies.get('ff_pin')}`)
      await client.ask('/read')
      assert.equal(host.scopes.at(-1)?.pinned, false, 'a forged pin is none')
    })

    it('are unsettled when a login could not carry their tokens over', async (t) => {
      const { url, host } = await run(t, start, { identify: bySession })
      const client = new Client(url)
      await client.ask('/write')
      host.canCarry = false
      await client.ask('/login')
      assert.equal(client.last?.status, 200)
      assert.equal(client.header('fourfold-freshness'), 'unsettled')
      assert.ok(client.cookies.has('ff_pin'))
    })

    it('read at the level of their request', async (t) => {
      const { url, host } = await run(t, start)
      const client = new Client(url)
      await client.ask('/read', { 'x-strict': '1' })
      await client.ask('/read')
      assert.deepEqual(
        host.scopes.map((scope) => scope.level),
        ['strict', undefined],
      )
    })
  })
}
