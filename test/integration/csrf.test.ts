/** Requests that another site makes a browser send are refused, on every framework alike. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import type { CsrfOptions } from '../../src/http/node.ts'
import { makeToken, isToken, newCsrfSecret } from '../../src/http/guards/csrf-token.ts'
import { judgeOrigin } from '../../src/http/guards/origin.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import { guardedApps, type StartGuarded } from '../support/guarded-app.ts'
import { plantHost } from '../support/http-app.ts'

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

type Send = (method: string, path: string, headers?: Record<string, string>, body?: string) => Promise<Answer>

/** `fetch` keeps Host, Origin and Sec-Fetch-Site to itself. */
async function run(t: TestContext, start: StartGuarded, csrf?: CsrfOptions): Promise<Send> {
  const store = openMemoryStore()
  const server = await start({ ff: plantHost(store).ff, csrf })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
    await store.close()
  })
  const { port } = server.address() as AddressInfo
  return async (method, path, headers = {}, body = '') => {
    const all = { host: 'shop.example', 'content-length': String(Buffer.byteLength(body)), ...headers }
    const sent = httpRequest({ host: '127.0.0.1', port, method, path, headers: all })
    sent.end(body)
    const [response] = await once(sent, 'response')
    return { status: response.statusCode, headers: response.headers, body: await text(response) }
  }
}

const form = { 'content-type': 'application/x-www-form-urlencoded' }

for (const [framework, start] of guardedApps) {
  describe(`the guard against forgery on ${framework}`, () => {
    it('goes by Sec-Fetch-Site, and by Origin where that is missing', async (t) => {
      const send = await run(t, start, { origins: ['https://admin.example'] })
      const cases: [Record<string, string>, number][] = [
        [{ 'sec-fetch-site': 'same-origin' }, 200],
        [{ 'sec-fetch-site': 'none' }, 200],
        [{ 'sec-fetch-site': 'cross-site' }, 403],
        [{ 'sec-fetch-site': 'same-site' }, 403],
        [{ 'sec-fetch-site': 'cross-site', origin: 'https://shop.example' }, 403],
        [{ 'sec-fetch-site': 'cross-site', origin: 'https://admin.example' }, 200],
        [{ origin: 'https://shop.example' }, 200],
        [{ origin: 'http://shop.example' }, 200],
        [{ origin: 'https://shop.example:444' }, 403],
        [{ origin: 'https://evil.example' }, 403],
        [{ origin: 'https://shop.example.evil.example' }, 403],
        [{ origin: 'null' }, 403],
        [{ origin: '' }, 403],
        [{ origin: 'https://admin.example' }, 200],
        [{}, 200],
      ]
      for (const [headers, status] of cases) {
        const answer = await send('POST', '/change', headers)
        assert.equal(answer.status, status, JSON.stringify(headers))
        if (status === 403) assert.match(answer.body, /FF_HTTP_CROSS_ORIGIN/)
      }
    })

    it('believes the forwarded host and protocol of the balancer', async (t) => {
      const send = await run(t, start)
      const forwarded = { 'x-forwarded-host': 'www.example', 'x-forwarded-proto': 'https' }
      assert.equal((await send('POST', '/change', { ...forwarded, origin: 'https://www.example' })).status, 200)
      assert.equal((await send('POST', '/change', { ...forwarded, origin: 'https://shop.example' })).status, 403)
      const plain = { ...forwarded, origin: 'http://www.example' }
      assert.equal((await send('POST', '/change', plain)).status, 403, 'a page without TLS is another site')
    })

    it('lets reads through, whoever asks', async (t) => {
      const send = await run(t, start)
      assert.equal((await send('GET', '/token', { 'sec-fetch-site': 'cross-site' })).status, 200)
    })

    it('wants a token of clients with cookies that say no origin', async (t) => {
      const send = await run(t, start)
      const page = await send('GET', '/token')
      const cookie = page.headers['set-cookie']!.map((line) => line.split(';')[0]).join('; ')
      const other = await send('GET', '/token')
      assert.equal((await send('POST', '/change', { cookie })).status, 403)
      assert.match((await send('POST', '/change', { cookie })).body, /FF_HTTP_CSRF_TOKEN/)
      assert.equal((await send('POST', '/change', { cookie, 'x-csrf-token': other.body })).status, 403)
      assert.equal((await send('POST', '/change', { cookie, 'x-csrf-token': page.body })).status, 200)
      const again = await send('GET', '/token', { cookie })
      assert.notEqual(again.body, page.body)
      const field = `_csrf=${encodeURIComponent(again.body)}`
      assert.equal((await send('POST', '/change', { cookie, ...form }, field)).status, 200)
      assert.equal((await send('POST', '/change', { cookie, ...form }, 'a=1')).status, 403)
    })

    it('wants one always, or never, where it is told so', async (t) => {
      const always = await run(t, start, { token: 'always' })
      const page = await always('GET', '/token')
      const cookie = page.headers['set-cookie']!.map((line) => line.split(';')[0]).join('; ')
      const own = { cookie, 'sec-fetch-site': 'same-origin' }
      assert.equal((await always('POST', '/change', own)).status, 403)
      assert.equal((await always('POST', '/change', { ...own, 'x-csrf-token': page.body })).status, 200)
      const never = await run(t, start, { token: 'never' })
      assert.equal((await never('POST', '/change', { cookie: 'a=1' })).status, 200)
      assert.equal((await never('POST', '/change', { origin: 'https://evil.example' })).status, 403)
    })

    it('refuses at the start what is no origin', async (t) => {
      for (const origin of ['admin.example', 'https://admin.example/', 'https://ADMIN.example'])
        await assert.rejects(run(t, start, { origins: [origin] }), /expected an origin/)
    })
  })
}

describe('a token', () => {
  it('is good for its secret only, and any change makes it worthless', () => {
    const secret = newCsrfSecret()
    const token = makeToken(secret)
    assert.equal(isToken(secret, token), true)
    assert.equal(isToken(newCsrfSecret(), token), false)
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === 'A' ? 'Q' : 'A'
      const changed = token.slice(0, at) + other + token.slice(at + 1)
      assert.equal(isToken(secret, changed), false, `position ${at}`)
    }
    assert.equal(isToken(secret, ''), false)
    assert.equal(isToken(secret, token.slice(0, -1)), false)
  })
})

describe('the forwarded host', () => {
  it('is not believed from elsewhere', () => {
    const headers = { host: 'shop.example', origin: 'https://evil.example', 'x-forwarded-host': 'evil.example' }
    const judge = (remoteAddress: string): string =>
      judgeOrigin({ method: 'POST', raw: { headers, socket: { remoteAddress } } }, new Set())
    assert.equal(judge('203.0.113.7'), 'cross')
    assert.equal(judge('127.0.0.1'), 'same')
  })
})
