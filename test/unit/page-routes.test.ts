/** Which page an address is: each of its own, and none of an address that leads elsewhere. */

import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import fc from 'fast-check'

import { RouteBakes } from '../../src/pages/route-bakes.ts'
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

test('a page whose address leads elsewhere is not asked for, whoever lists it', async (t) => {
  const asked: string[] = []
  const server: Server = createServer((request, response) => {
    asked.push(request.url!)
    response.end('found')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => (server.close(), server.closeAllConnections()))
  const bakes = new RouteBakes()
  bakes.servesAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  for (const url of ['/legacy/../admin', '/legacy/%2e%2e/admin', '/legacy/.', '/legacy/a\\..\\b']) {
    await assert.rejects(bakes.ask(url, {} as never), { code: 'FF_PAGE_ROUTE' }, url)
  }
  assert.deepEqual(asked, [])
  assert.equal((await bakes.ask('/über/a%2Fb?q=../x', {} as never)).status, 200)
  assert.deepEqual(asked, ['/%C3%BCber/a%2Fb?q=../x'])
})
