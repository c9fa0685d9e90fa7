/** Which page an address is: each of its own, and none of an address that leads elsewhere. */

import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import fc from 'fast-check'

import { RouteBakes } from '../../src/pages/route-bakes.ts'
import { createRouteSource } from '../../src/pages/route-source.ts'
import { PageRoutes } from '../../src/pages/routes.ts'

const routes = new PageRoutes([
  { path: '/legacy/*', query: [], prefix: 'l:' },
  { path: '/article/:slug', query: ['part'], prefix: 'a:' },
])

test('an address that names another one, once it is decoded, is of no page', () => {
  for (const target of [
    '/legacy/%2e%2e/admin',
    '/legacy/../admin',
    '/legacy/a/%2E./b',
    '/legacy/./a',
    '/legacy/a/..',
    '/legacy/..%2fadmin',
    '/legacy/a%2Fb',
    '/legacy/a%5Cb',
    '/legacy/..\\admin',
    '/article/..',
    '/article/%2e',
    '/article/a%5cb',
  ]) {
    assert.equal(routes.match(target), null, target)
  }
  for (const target of ['/legacy/a/b', '/legacy/...', '/legacy/a..b/.c', '/article/a%2Fb', '/article/a%20b?part=..']) {
    assert.notEqual(routes.match(target), null, target)
  }
})

test('what is too long is of no page, wherever it stands', () => {
  for (const length of [500, 501]) {
    const long = 'x'.repeat(length)
    for (const target of [
      `/article/${long}`,
      `/article/a?part=${long}`,
      `/legacy/${long}`,
      `/legacy/a/${long.slice(2)}`,
    ]) {
      assert.equal(routes.match(target) !== null, length === 500, `${length} in ${target.slice(0, 12)}`)
    }
  }
})

test('whatever an address is made of, its page is asked for at the same address, and no other page is', () => {
  const piece = fc.constantFrom(
    'a',
    '.',
    '..',
    '/',
    '%2e',
    '%2F',
    '%5c',
    '\\',
    '%25',
    '%252e',
    'ü',
    '%C3%BC',
    '@',
    ':',
    ';',
  )
  const ids = new Map<string, string>()
  fc.assert(
    fc.property(fc.constantFrom('/legacy/', '/article/'), fc.array(piece, { maxLength: 6 }), (start, pieces) => {
      const match = routes.match(start + pieces.join(''))
      if (match === null) return
      const url = routes.urlOf(match.route, match.key)
      assert.equal(new URL(`http://127.0.0.1${url}`).pathname, url)
      assert.equal(routes.match(url)?.id, match.id)
      assert.equal(ids.get(match.id) ?? url, url)
      ids.set(match.id, url)
    }),
    { numRuns: 2_000 },
  )
})

async function appOf(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<{
  readonly bakes: RouteBakes
  readonly origin: string
  readonly stop: () => void
}> {
  const server = createServer(answer)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const bakes = new RouteBakes()
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  bakes.servesAt(origin)
  return { bakes, origin, stop: () => (server.close(), server.closeAllConnections()) }
}

test('a page whose address leads elsewhere is not asked for, whoever lists it', async (t) => {
  const asked: string[] = []
  const { bakes, stop } = await appOf((request, response) => {
    asked.push(request.url!)
    response.end('found')
  })
  t.after(stop)
  for (const url of ['/legacy/../admin', '/legacy/%2e%2e/admin', '/legacy/.', '/legacy/a\\..\\b']) {
    await assert.rejects(bakes.ask(url, {} as never), { code: 'FF_PAGE_ROUTE' }, url)
  }
  assert.deepEqual(asked, [])
  assert.equal((await bakes.ask('/über/a%2Fb?q=../x', {} as never)).status, 200)
  assert.deepEqual(asked, ['/%C3%BCber/a%2Fb?q=../x'])
})

test('a route is asked as under the name that its readers know, where that is given', async (t) => {
  const { bakes, stop } = await appOf(({ headers, url }, response) => {
    const address = `${String(headers['x-forwarded-proto'])}://${headers.host}`
    if (url === '/moved') return response.writeHead(302, { location: `${address}/here` }).end()
    return response.end(`<a href="${address}/a">${String(headers['x-forwarded-host'])}</a>`)
  })
  t.after(stop)
  const origin = 'https://www.example.com'
  const answer = await bakes.ask('/page', {} as never, origin)
  assert.equal(await answer.text(), '<a href="https://www.example.com/a">www.example.com</a>')
  const moved = await bakes.ask('/moved', {} as never, origin)
  assert.equal(moved.headers.get('location'), 'https://www.example.com/here')
})

test('a page that names the address inside, at which it was asked for, is no page for readers', async (t) => {
  const { bakes, origin, stop } = await appOf(({ headers, url }, response) => {
    const name = headers.host!
    if (url === '/moved') return response.writeHead(301, { location: `http://${name}/here` }).end()
    if (url === '/relative') return response.writeHead(301, { location: '/here' }).end()
    return response.end(url === '/plain' ? '<a href="/a">a</a>' : `<a href="//${name}/a">a</a>`)
  })
  t.after(stop)
  for (const url of ['/page', '/moved']) {
    const { host } = new URL(origin)
    await assert.rejects(bakes.ask(url, {} as never), (error: any) => {
      assert.equal(error.code, 'FF_PAGE_ANSWER')
      assert.ok(error.message.includes(host) && error.message.includes('origin'), error.message)
      return true
    })
  }
  assert.equal((await bakes.ask('/relative', {} as never)).headers.get('location'), '/here')
  assert.equal((await bakes.ask('/plain', {} as never)).status, 200)
})

test('an origin is a scheme and a host, and nothing more', () => {
  const source = (origin: string): unknown => createRouteSource({ path: '/a', origin }, '', new RouteBakes())
  for (const origin of ['www.example.com', 'https://a.example/path', 'ftp://a.example', 'https://me@a.example', '']) {
    assert.throws(() => source(origin), { code: 'FF_PAGE_DEFINITION' }, origin)
  }
  assert.doesNotThrow(() => source('http://localhost:8080'))
})
