/** Limits that clones share, on every framework alike. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, it, type TestContext } from 'node:test'
import { clientAddress } from '../../src/http/guards/client-address.ts'
import { createRateLimit } from '../../src/http/guards/rate-limit.ts'
import { createTrust } from '../../src/clones/balancer/trust.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import { guardedApps, type GuardedOptions, type StartGuarded } from '../support/guarded-app.ts'
import { addressOf, plantHost } from '../support/http-app.ts'
import { plantFaults, type FaultyStore } from '../support/faulty-store.ts'

interface Running {
  readonly store: FaultyStore
  /** One address for each clone. */
  readonly urls: readonly string[]
}

async function run(t: TestContext, start: StartGuarded, options: Partial<GuardedOptions> = {}): Promise<Running> {
  const central = openMemoryStore()
  const store = plantFaults(central)
  t.after(() => central.close())
  const urls: string[] = []
  for (let clone = 0; clone < 2; clone++) {
    const server = await start({ ff: plantHost(store).ff, ...options })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    })
    urls.push(addressOf(server))
  }
  return { store, urls }
}

function login(url: string | undefined, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/login`, { method: 'POST', headers })
}

for (const [framework, start] of guardedApps) {
  describe(`a rate limit on ${framework}`, () => {
    it('holds for all clones together, and says what is left and when to come again', async (t) => {
      const { urls } = await run(t, start)
      const [first, second, third, fourth] = [
        await login(urls[0]),
        await login(urls[1]),
        await login(urls[0]),
        await login(urls[1]),
      ]
      assert.deepEqual([first.status, second.status, third.status, fourth.status], [200, 200, 200, 429])
      assert.equal(first.headers.get('ratelimit-policy'), '"login";q=3;w=600')
      // Seconds until all of it is there again; a busy machine may have lost one.
      assert.match(first.headers.get('ratelimit') ?? '', /^"login";r=2;t=(199|200)$/)
      assert.match(third.headers.get('ratelimit') ?? '', /^"login";r=0;t=(59\d|600)$/)
      assert.match(fourth.headers.get('ratelimit') ?? '', /^"login";r=0;t=(59\d|600)$/)
      assert.equal(fourth.headers.get('ratelimit-policy'), '"login";q=3;w=600')
      assert.ok(Number(fourth.headers.get('retry-after')) > 190, fourth.headers.get('retry-after') ?? 'none')
      assert.match(await fourth.text(), /FF_HTTP_RATE_LIMITED/)
    })

    it('is each address its own', async (t) => {
      const { urls } = await run(t, start, { limit: 1 })
      const from = (address: string): Promise<Response> => login(urls[0], { 'x-forwarded-for': address })
      assert.equal((await from('203.0.113.7')).status, 200)
      assert.equal((await from('203.0.113.7')).status, 429)
      assert.equal((await from('203.0.113.8')).status, 200)
      // What a client claims stands before what the balancer saw.
      assert.equal((await from('198.51.100.1, 203.0.113.8')).status, 429)
      assert.equal((await from('2001:db8:1:2::1')).status, 200)
      assert.equal((await from('2001:db8:1:2:ffff::9')).status, 429)
      assert.equal((await from('2001:db8:1:3::1')).status, 200)
    })

    it('goes by what the app says, and lets through whom it does not name', async (t) => {
      const header = (request: any): string | null =>
        (request.headers?.['x-user'] as string) ?? request.req?.header?.('x-user') ?? null
      const { urls } = await run(t, start, { limit: 1, key: header })
      assert.equal((await login(urls[0], { 'x-user': 'ann' })).status, 200)
      assert.equal((await login(urls[1], { 'x-user': 'ann' })).status, 429)
      assert.equal((await login(urls[1], { 'x-user': 'bob' })).status, 200)
      for (let count = 0; count < 3; count++) assert.equal((await login(urls[0])).status, 200)
    })

    it('lets everybody through while the store is away, or nobody where it is told so', async (t) => {
      const open = await run(t, start, { limit: 1 })
      open.store.fail('spend')
      for (let count = 0; count < 3; count++) assert.equal((await login(open.urls[0])).status, 200)
      open.store.heal()
      assert.equal((await login(open.urls[0])).status, 200)
      assert.equal((await login(open.urls[0])).status, 429)
      const closed = await run(t, start, { limit: 1, whenStoreIsAway: 'refuse' })
      closed.store.fail('spend')
      assert.equal((await login(closed.urls[0])).status, 503)
    })
  })
}

describe('a rate limit', () => {
  const host = (): any => plantHost(openMemoryStore()).ff

  it('counts what it let through, refused, and let through unseen', async (t) => {
    const central = openMemoryStore()
    t.after(() => central.close())
    const store = plantFaults(central)
    const warned: string[] = []
    const ff: any = plantHost(store).ff
    ff.log = { ...ff.log, warn: (_: object, message: string) => warned.push(message) }
    const limit = createRateLimit<string>({ ff, name: 'x', limit: 2, window: '1h', key: (name) => name })
    const ask = (): Promise<void> => limit.check('ann', { headers: {} }, () => undefined)
    await ask()
    await ask()
    await assert.rejects(ask(), { code: 'FF_HTTP_RATE_LIMITED', httpStatus: 429 })
    store.fail('spend')
    await ask()
    await ask()
    assert.deepEqual(limit.counts, { granted: 2, refused: 1, unchecked: 2 })
    assert.equal(warned.length, 1, 'not a line for each request')
  })

  it('keeps nobody by name in the store', async (t) => {
    const central = openMemoryStore()
    t.after(() => central.close())
    const keys: string[] = []
    const store = {
      spend: (key: string, cost: number, capacity: number) => {
        keys.push(key)
        return central.spend(key, cost, capacity)
      },
    }
    const ff: any = { ...plantHost(central).ff, store }
    const limit = createRateLimit<string>({ ff, name: 'x', limit: 2, window: '1h', key: (name) => name })
    await limit.check('ann@example.com', { headers: {} }, () => undefined)
    assert.match(keys.join(), /^rate:x:[\w-]{43}$/)
  })

  it('refuses settings that make no sense', () => {
    const make = (options: object): unknown =>
      createRateLimit({ ff: host(), name: 'x', limit: 1, window: '1m', ...options })
    assert.throws(() => make({ name: 'a b' }), /name: expected/)
    assert.throws(() => make({ limit: 0 }), /limit: expected/)
    assert.throws(() => make({ limit: 1.5 }), /limit: expected/)
    assert.throws(() => make({ limit: 1001, window: '1s' }), /limit: expected/)
    assert.throws(() => make({ window: 'soon' }), { code: 'FF_CORE_DURATION' })
  })
})

describe('the address of a client', () => {
  const trust = createTrust(['10.0.0.0/8'])
  const of = (remoteAddress: string | undefined, forwarded?: string): string | null =>
    clientAddress({ headers: { 'x-forwarded-for': forwarded }, socket: { remoteAddress } }, trust)

  it('is the last before our own proxies, and never what somebody else says', () => {
    assert.equal(of('127.0.0.1', '203.0.113.7'), '203.0.113.7')
    assert.equal(of('127.0.0.1', '198.51.100.1, 203.0.113.7, 10.1.2.3'), '203.0.113.7')
    assert.equal(of('127.0.0.1', 'nonsense, 10.1.2.3'), '127.0.0.1')
    // What stands further left is the client's own words, also where a proxy did not write a plain address.
    assert.equal(of('127.0.0.1', '198.51.100.1, unknown, 10.1.2.3'), '127.0.0.1')
    assert.equal(of('127.0.0.1', '198.51.100.1, 203.0.113.7:5123, 10.1.2.3'), '203.0.113.7')
    assert.equal(of('127.0.0.1', '198.51.100.1, [2001:db8::1]:5123, 10.1.2.3:80'), '2001:db8:0:0::/64')
    assert.equal(of('203.0.113.9', '198.51.100.1'), '203.0.113.9')
    assert.equal(of('::ffff:203.0.113.9'), '203.0.113.9')
    assert.equal(of('2001:db8::1'), '2001:db8:0:0::/64')
    assert.equal(of('fe80::1%eth0'), 'fe80:0:0:0::/64')
    assert.equal(of(undefined), null)
  })
})
