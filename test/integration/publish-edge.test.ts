/**
 * Edges: a real Varnish that is purged by the keys of its pages, with the settings of the guide; and what Fastly,
 * Cloudflare and others are sent, against a server that writes requests down.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { text } from 'node:stream/consumers'
import { suite, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'

import { silentLogger } from '../../src/core/log.ts'
import { createEdges } from '../../src/pages/publish/edge/edges.ts'
import { pageKey, routeKey } from '../../src/pages/publish/edge/surrogate-keys.ts'
import { endAfter, type Cleanup } from '../support/postgres.ts'
import { keysOf, nameOf, publishGround } from '../support/publish-ground.ts'
import { hasServer, startVarnish } from '../support/static-servers.ts'
import { waitFor } from '../support/wait-for.ts'

import type { EdgeOptions } from '../../src/pages/publish/edge/edges.ts'

const skip = (await hasServer('varnish')) ? false : 'no Varnish on this machine'
const defaults = { everyMs: 5, perSecond: 1_000, backlog: 1_000, againMs: 0, log: silentLogger }

suite('Varnish', { skip }, () => {
  test('a page is kept until it is baked to something else, and others stay', async (t) => {
    const app = await startApp(t)
    const varnish = await startVarnish(t, app.port)
    const ground = await publishGround(t)
    const edges = createEdges({ ...defaults, kind: 'varnish', urls: [varnish] })
    const worker = ground.worker({ edges })
    const read = async (url: string, headers: Record<string, string> = {}): Promise<string> => {
      const answer = await fetch(varnish + url, { headers })
      assert.equal(answer.headers.get('xkey'), null)
      return await answer.text()
    }
    for (const url of ['/article/a', '/article/b', '/other']) app.pages.set(url, 'first')
    const before = await ground.bake('first')
    for (const url of app.pages.keys()) {
      worker.publish(nameOf(url, '/article/:slug'), before)
      assert.equal(await read(url), 'first')
    }
    await worker.settled()
    await waitFor('the first purges', () => edges[0]!.purger.counts().keys === 3)
    for (const url of app.pages.keys()) await read(url)

    for (const url of app.pages.keys()) app.pages.set(url, 'second')
    for (const url of app.pages.keys()) assert.equal(await read(url), 'first', 'kept')
    assert.equal(await read('/article/a', { cookie: 'ff_session=x' }), 'second', 'readers whom somebody knows')
    const asked = app.asked.length
    worker.publish(nameOf('/article/a', '/article/:slug'), await ground.bake('second'))
    await waitFor('the new page', async () => (await read('/article/a')) === 'second')
    assert.equal(await read('/article/b'), 'first')
    assert.equal(await read('/other'), 'first')
    assert.equal(app.asked.length, asked + 1)
    const purges = edges[0]!.purger.counts().requests
    worker.publish(nameOf('/article/a', '/article/:slug'), await ground.bake('second'))
    await worker.settled()
    assert.equal(worker.counts().unchanged, 1)
    assert.equal(edges[0]!.purger.counts().requests, purges, 'the same page again')
    await edges[0]!.purger.purge(routeKey('/article/:slug'), routeKey('/article/:slug'))
    for (const url of app.pages.keys()) assert.equal(await read(url), 'second', url)
  })

  test('only those who may can purge', async (t) => {
    const varnish = await startVarnish(t, (await startApp(t)).port)
    assert.equal((await fetch(varnish, { method: 'PURGE' })).status, 400)
    assert.equal((await fetch(varnish, { method: 'PURGE', headers: { 'xkey-purge': 'x' } })).status, 200)
  })
})

test('purges are gathered, so many keys a request and so many requests a second', async (t) => {
  const edge = await startEdge(t)
  const [made] = createEdges({
    ...defaults,
    everyMs: 30,
    perSecond: 10,
    keysAtOnce: 20,
    kind: 'varnish',
    urls: [edge.url],
  })
  endAfter(t, () => made!.purger.close())
  const began = performance.now()
  // Ten requests at once, and ten more in the second behind them.
  const keys = Array.from({ length: 300 }, (_, at) => `key-${at}`)
  await Promise.all([...keys, ...keys].map((key) => made!.purger.purge(key, 'all')))
  const tookMs = performance.now() - began
  const sent = edge.requests.map(({ headers }) => String(headers['xkey-purge']).split(' '))
  assert.deepEqual(sent.flat().toSorted(), keys.toSorted())
  assert.ok(sent.every((batch) => batch.length === 20))
  assert.equal(edge.requests.length, 15)
  assert.ok(tookMs >= 450, `15 requests took ${tookMs} ms`)
  for (const [at, { atMs }] of edge.requests.entries()) {
    const second = edge.requests.filter((other) => other.atMs >= atMs && other.atMs < atMs + 500)
    assert.ok(second.length <= 16, `${second.length} requests within half a second of request ${at}`)
  }
})

test('an edge that is away is asked again later and later, and what waits for it is bounded', async (t) => {
  const edge = await startEdge(t)
  edge.status = 503
  const warned: object[] = []
  const log = { ...silentLogger, warn: (fields: object) => void warned.push(fields) }
  const token = 'very-secret-token'
  const options = { ...defaults, log, backlog: 10, keysAtOnce: 100, firstRetryMs: 10, token }
  const [made] = createEdges({ ...options, kind: 'http', urls: [edge.url.replace('//', '//user:pass-word@')] })
  endAfter(t, () => made!.purger.close())
  const { purger } = made!
  const purges = Array.from({ length: 50 }, (_, at) => purger.purge(`page-${at}`, at < 45 ? 'route-a' : 'route-b'))
  await waitFor('some attempts', () => edge.requests.length >= 4)
  assert.ok(purger.counts().waiting <= 10, `${purger.counts().waiting} wait`)
  const gaps = edge.requests.slice(1, 4).map(({ atMs }, at) => atMs - edge.requests[at]!.atMs)
  assert.ok(gaps[2]! > gaps[0]!, `gaps ${gaps.join(', ')}`)
  edge.status = 200
  await Promise.all(purges)
  const last = String(edge.requests.at(-1)!.headers['surrogate-key']).split(' ').toSorted()
  assert.deepEqual(last, ['page-45', 'page-46', 'page-47', 'page-48', 'page-49', 'route-a'])
  assert.equal(warned.filter((fields) => 'error' in fields).length, 1)
  const told = warned.map((fields) => `${JSON.stringify(fields)} ${String((fields as { error?: Error }).error)}`).join()
  assert.ok(!told.includes(token) && !told.includes('pass-word'), told)
})

test('a key that is asked for while its purge is under way is purged once more, and each again after a while', async (t) => {
  const edge = await startEdge(t)
  edge.holds = true
  const [made] = createEdges({ ...defaults, againMs: 60, kind: 'varnish', urls: [edge.url] })
  endAfter(t, () => made!.purger.close())
  const first = made!.purger.purge('a', 'r')
  await waitFor('the first request', () => edge.requests.length === 1)
  const second = made!.purger.purge('a', 'r')
  edge.release()
  await Promise.all([first, second])
  assert.equal(edge.requests.length, 2)
  await waitFor('the purges after a while', () => edge.requests.length >= 3)
})

test('a request that fails while the purger closes leaves nobody waiting', async (t) => {
  const edge = await startEdge(t)
  edge.holds = true
  edge.status = 500
  const [made] = createEdges({ ...defaults, kind: 'varnish', urls: [edge.url] })
  const { purger } = made!
  const underWay = purger.purge('a', 'r').then(
    () => 'purged',
    () => 'left',
  )
  await waitFor('the request', () => edge.requests.length === 1)
  const closed = purger.close()
  edge.release()
  await closed
  assert.equal(await Promise.race([underWay, setTimeout(1_000, 'waiting')]), 'left')
  assert.equal(purger.counts().waiting, 0)
})

test('a purge that did not go out before the end is made by the next worker', async (t) => {
  const ground = await publishGround(t)
  const edge = await startEdge(t)
  edge.status = 500
  const make = () => createEdges({ ...defaults, kind: 'varnish', urls: [edge.url] })
  const name = nameOf('/article/a')
  ground.bakes.set(name.id, await ground.bake('one'))
  const dying = ground.worker({ edges: make() })
  dying.publish(name, ground.bakes.get(name.id)!)
  await waitFor('an attempt', () => edge.requests.length > 0)
  await dying.close()
  edge.status = 200
  edge.requests.length = 0
  const edges = make()
  const next = ground.worker({ edges })
  await next.repair([name])
  await waitFor('the purge', () => edge.requests.length === 1)
  assert.equal(edge.requests[0]!.headers['xkey-purge'], pageKey('/article/a'))
  await waitFor('its record', async () => {
    await next.repair([name])
    return next.counts().unchanged > 0
  })
  assert.equal(edge.requests.length, 1)
})

test('a purge that was to go out once more after a while, and its worker ended before, is made by the next', async (t) => {
  const ground = await publishGround(t)
  const edge = await startEdge(t)
  const make = (againMs: number) => createEdges({ ...defaults, againMs, kind: 'varnish', urls: [edge.url] })
  const name = nameOf('/article/a')
  ground.bakes.set(name.id, await ground.bake('one'))
  const ending = ground.worker({ edges: make(60_000) })
  ending.publish(name, null)
  await waitFor('the purge', () => edge.requests.length === 1)
  const other = ground.worker({ edges: make(60_000) })
  await waitFor('its record', async () => {
    other.publish(name, null)
    await other.settled()
    return other.counts().unchanged > 0
  })
  const purges = edge.requests.length
  await ending.close()
  const next = ground.worker({ edges: make(20) })
  await next.repair([name])
  await waitFor('the purges of the next one', () => edge.requests.length === purges + 2)
  await waitFor('their record', async () => {
    const last = ground.worker({ edges: make(20) })
    await last.repair([name])
    return last.counts().unchanged > 0
  })
  // The same where it is taken away.
  ground.bakes.delete(name.id)
  const again = ground.worker({ edges: make(60_000) })
  again.drop(name)
  await waitFor('the purge of what is gone', () => edge.requests.length === purges + 3)
  await again.close()
  const after = ground.worker({ edges: make(20) })
  for await (const { url, gone } of after.published()) assert.deepEqual([url, gone], ['/article/a', true])
  after.drop(name)
  await waitFor('nothing is left to be done', async () => (await after.published().next()).done)
  assert.equal(edge.requests.length, purges + 5)
})

test('each kind of edge is sent what it documents', async (t) => {
  const edge = await startEdge(t)
  const send = async (options: Partial<EdgeOptions> & Pick<EdgeOptions, 'kind'>): Promise<SeenRequest> => {
    const [made] = createEdges({ ...defaults, urls: [`${edge.url}/purge`], ...options })
    await Promise.all([made!.purger.purge('p-1', 'r'), made!.purger.purge('p-2', 'r')])
    await made!.purger.close()
    return edge.requests.at(-1)!
  }
  const fastly = await send({ kind: 'fastly', token: 'abc', soft: true })
  assert.deepEqual([fastly.method, fastly.url, fastly.body], ['POST', '/purge', '{"surrogate_keys":["p-1","p-2"]}'])
  assert.deepEqual([fastly.headers['fastly-key'], fastly.headers['fastly-soft-purge']], ['abc', '1'])
  edge.body = '{"success": true, "errors": []}'
  const cloudflare = await send({ kind: 'cloudflare', token: 'abc' })
  assert.deepEqual([cloudflare.method, cloudflare.body], ['POST', '{"tags":["p-1","p-2"]}'])
  assert.equal(cloudflare.headers.authorization, 'Bearer abc')
  const http = await send({ kind: 'http', method: 'DELETE', keyHeader: 'X-Keys' })
  assert.deepEqual([http.method, http.headers['x-keys'], http.body], ['DELETE', 'p-1 p-2', ''])
})

test('a refusal of Cloudflare in an answer of 200 is a failure', async (t) => {
  const edge = await startEdge(t)
  edge.body = '{"success": false}'
  const [made] = createEdges({ ...defaults, firstRetryMs: 5, kind: 'cloudflare', urls: [edge.url] })
  endAfter(t, () => made!.purger.close())
  const purge = made!.purger.purge('a', 'r')
  await waitFor('an attempt', () => made!.purger.counts().failed > 0)
  edge.body = '{"success": true}'
  await purge
})

test('keys stay the same, whatever the build, and fit every edge', () => {
  assert.equal(pageKey('/article/a'), 'p-80c74d8af06f5ea681f1')
  assert.match(pageKey(`/${'%20'.repeat(5_000)}`), /^p-[0-9a-f]{20}$/)
  assert.deepEqual(keysOf('Cache-Tag', '/a', '/:x'), ['cache-tag', `${pageKey('/a')},${routeKey('/:x')}`])
  assert.deepEqual(keysOf('xkey', '/a', '/:x'), ['xkey', `${pageKey('/a')} ${routeKey('/:x')}`])
})

type Given = Parameters<RequestListener>

interface SeenRequest {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly atMs: number
}

/** An edge that writes down what it is asked. */
async function startEdge(t: Cleanup) {
  let release = (): void => undefined
  const edge = {
    url: '',
    requests: [] as SeenRequest[],
    status: 200,
    body: '',
    /** The next request is answered when it is released. */
    holds: false,
    release: () => release(),
  }
  const { port } = await listen(t, async (request, response) => {
    const { method = '', url = '', headers } = request
    const seen = { method, url, headers, atMs: performance.now(), body: await text(request) }
    edge.requests.push(seen)
    if (edge.holds) {
      edge.holds = false
      await new Promise<void>((resolve) => (release = resolve))
    }
    response.writeHead(edge.status).end(edge.body)
  })
  edge.url = `http://127.0.0.1:${port}`
  return edge
}

/** An app whose pages an edge may keep for an hour. */
async function startApp(t: Cleanup) {
  const pages = new Map<string, string>()
  const asked: string[] = []
  const { port } = await listen(t, (request, response) => {
    const url = request.url ?? ''
    asked.push(url)
    const [name, keys] = keysOf('xkey', url, '/article/:slug')
    const caching = { 'cache-control': 'public, no-cache', 'cdn-cache-control': 'max-age=3600' }
    response.writeHead(200, { ...caching, [name!]: keys! }).end(pages.get(url) ?? 'none')
  })
  return { pages, asked, port }
}

async function listen(
  t: Cleanup,
  handle: (...given: Given) => Promise<void> | void,
): Promise<{ readonly port: number }> {
  const server = createServer((request, response) => void handle(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  endAfter(t, async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return server.address() as { port: number }
}
