/** Pages that the balancer answers by itself: to whom, when, and how; and who is sent to a clone. */

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import { tellBalancers } from '../../src/app/page-front.ts'
import { withFourfold } from '../../src/http/node.ts'
import { followVisits, type Visited } from '../../src/pages/visits.ts'
import { byOf, handle, pages, secret, seen, type Seen } from '../support/balanced-articles.ts'
import { balancePages, type BalancedPages } from '../support/balanced-pages.ts'
import { cacheGround } from '../support/cache-app.ts'
import { CookieJar } from '../support/http-app.ts'
import { waitFor } from '../support/wait-for.ts'

suite('pages in the balancer', () => {
  const ground = cacheGround([], { config: { pages, sessions: { secrets: [secret] } } })
  let system: BalancedPages

  const get = (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Response> =>
    fetch(system.url + path, { method, headers, redirect: 'manual' })
  const see = async (path: string, headers: Record<string, string> = {}): Promise<Seen> =>
    seen(await get(path, headers))
  const held = (path: string): Promise<unknown> =>
    waitFor(`the balancer has ${path}`, async () => (await see(path)).by === 'balancer')

  /** What workers are told, by id. */
  const visits = new Map<string, number>()
  let unfollow = async (): Promise<void> => {}

  before(async () => {
    const { store, log } = ground().ff
    const hear = (told: readonly Visited[]): void =>
      told.forEach(([id, count]) => visits.set(id, (visits.get(id) ?? 0) + count))
    unfollow = followVisits({ store, build: '', log, hear })
    system = await balancePages(ground().ff, { pages }, handle)
  })
  after(async () => {
    await system.stop()
    await unfollow()
  })

  test('a reader whom nobody knows is answered without a clone, and sees a change as soon as it is known', async () => {
    await held('/article/slug-1')
    const answer = await get('/article/slug-1')
    assert.equal(answer.headers.get('cache-status'), 'fourfold-balancer; hit')
    assert.equal(answer.headers.get('x-fourfold-clone'), null)
    assert.equal(answer.headers.get('set-cookie'), null)
    assert.equal(answer.headers.get('cache-control'), 'public, no-cache')
    await ground().outside.query(`update articles set title = 'new' where slug = 'slug-1'`)
    await waitFor('the new page', async () => (await see('/article/slug-1')).title === 'new')
    await held('/article/slug-1')
    assert.equal((await see('/article/slug-1')).title, 'new')
  })

  test('a browser sees its own write in the very next page, and by the balancer soon after', async () => {
    await held('/article/slug-2')
    const jar = new CookieJar()
    for (let round = 0; round < 30; round += 1) {
      await jar.send('POST', `${system.url}/write?slug=slug-2&title=round-${round}`)
      assert.match(await jar.get(`${system.url}/article/slug-2`), new RegExp(`<h1>round-${round}<`))
    }
    assert.ok(jar.cookies.has('ff_reader'))
    await waitFor('the balancer answers it', async () => {
      await jar.get(`${system.url}/article/slug-2`)
      return byOf(jar.last!) === 'balancer'
    })
  })

  test('a session counts as its reader, and a session whose cookie names another reader goes to a clone', async () => {
    await held('/article/slug-3')
    const jar = new CookieJar()
    await jar.send('POST', `${system.url}/visit`)
    await jar.get(`${system.url}/article/slug-3`)
    assert.equal(byOf(jar.last!), 'balancer')
    const other = new CookieJar()
    await other.send('POST', `${system.url}/write?slug=slug-4&title=other`)
    jar.cookies.set('ff_reader', other.cookies.get('ff_reader')!)
    await jar.get(`${system.url}/article/slug-3`)
    assert.equal(byOf(jar.last!), 'clone')
  })

  test('who is not certain to be known goes to a clone', async () => {
    await held('/article/slug-5')
    const { signer } = ground().ff.sessions
    const pin = signer.sign('pin', String(Date.now() + 60_000))
    const reader = signer.sign('reader', Buffer.from('somebody').toString('base64url'))
    const other = signer.sign('reader', Buffer.from('somebody else').toString('base64url'))
    const toClones: Record<string, string>[] = [
      { authorization: 'Bearer x' },
      { 'proxy-authorization': 'Basic x' },
      { cookie: `ff_pin=${pin}` },
      { cookie: `a=b; __Host-ff_pin=x` },
      { cookie: 'ff_session=forged.signature' },
      { cookie: `ff_reader=${reader}; __Host-ff_reader=${reader}` },
      { cookie: `ff_reader=${reader}`, 'fourfold-reader': other },
      { 'fourfold-reader': 'forged.signature' },
    ]
    for (const headers of toClones) {
      assert.equal((await see('/article/slug-5', headers)).by, 'clone', JSON.stringify(headers))
    }
    for (const line of ['TE: trailers', 'Connection: close, x-something', 'Expect: 100-continue', 'Upgrade: h2c']) {
      const text = await raw(
        system.port,
        `GET /article/slug-5 HTTP/1.1\r\nHost: a\r\n${line}\r\n${line.startsWith('Conn') ? '' : 'Connection: close\r\n'}\r\n`,
      )
      assert.match(text, /cache-status: fourfold; hit/, line)
    }
    const here: Record<string, string>[] = [
      { cookie: 'a=b; c' },
      { cookie: `ff_reader=${reader}` },
      { 'fourfold-reader': reader },
      { cookie: '' },
    ]
    for (const headers of here) {
      assert.equal((await see('/article/slug-5', headers)).by, 'balancer', JSON.stringify(headers))
    }
    assert.equal((await fetch(`${system.url}/article/slug-5`, { method: 'POST' })).headers.get('cache-status'), null)
  })

  test('encodings, conditions and HEAD are as in a clone', async () => {
    await held('/article/slug-6')
    const bytes: Buffer[] = []
    for (const coding of ['identity', 'gzip', 'br']) {
      const own = await get('/article/slug-6', { 'accept-encoding': coding })
      const clones = await get('/article/slug-6', { 'accept-encoding': coding, authorization: 'x' })
      assert.deepEqual([byOf(own), byOf(clones)], ['balancer', 'clone'])
      for (const name of ['etag', 'vary', 'content-encoding', 'content-length', 'content-type', 'cache-control']) {
        assert.equal(own.headers.get(name), clones.headers.get(name), `${coding} ${name}`)
      }
      bytes.push(Buffer.from(await own.arrayBuffer()))
      const tag = own.headers.get('etag')!
      const unchanged = await get('/article/slug-6', { 'if-none-match': `"x", ${tag}`, 'accept-encoding': coding })
      assert.deepEqual([unchanged.status, byOf(unchanged), await unchanged.text()], [304, 'balancer', ''])
      assert.equal(unchanged.headers.get('etag'), tag)
      const head = await get('/article/slug-6', { 'accept-encoding': coding }, 'HEAD')
      assert.deepEqual([head.status, byOf(head), await head.text()], [200, 'balancer', ''])
      assert.equal(head.headers.get('content-length'), own.headers.get('content-length'))
    }
    assert.equal(new Set(bytes.map(String)).size, 1)
    assert.equal((await get('/article/slug-6', { 'if-none-match': '"other"' })).status, 200)
  })

  test('a page that is not there is a 404 of the balancer until it is', async () => {
    await held('/article/later')
    assert.equal((await see('/article/later')).status, 404)
    await ground().outside.query(`insert into articles values (901, 'later', 1, 'came later')`)
    await waitFor('the page', async () => (await see('/article/later')).title === 'came later')
    await held('/article/later')
  })

  test('nothing is answered while a rollout moves readers, or for a build that is not known', async (t) => {
    await held('/article/slug-7')
    const { balancer, upstreams } = system
    t.after(() => balancer.setUpstreams(upstreams))
    const [clone] = upstreams
    const current = { id: 'a'.repeat(64), ordinal: 1 }
    const next = { id: 'b'.repeat(64), ordinal: 2 }
    for (const admission of [
      { current, next, share: 0 },
      { current, share: 0 },
    ]) {
      balancer.setUpstreams([{ ...clone!, id: 'clone-1.2', buildId: current.id }], admission)
      assert.equal((await see('/article/slug-7')).by, 'clone')
    }
    balancer.setUpstreams(upstreams)
    await held('/article/slug-7')
  })

  test('an app whose requests have levels of their own is answered by clones', async (t) => {
    await held('/article/slug-7')
    const { ff } = ground()
    const { balancer, upstreams } = system
    t.after(async () => {
      ff.pages.perRequest = false
      await tellBalancers(ff)
      balancer.setUpstreams(upstreams)
      await held('/article/slug-7')
    })
    withFourfold(ff, () => undefined, { level: () => 'strict' })
    await tellBalancers(ff)
    // Another clone: the app's files may be others.
    balancer.setUpstreams([{ ...upstreams[0]!, id: 'clone-1.3' }])
    for (let look = 0; look < 20; look += 1) assert.equal((await see('/article/slug-7')).by, 'clone')
  })

  test('hostile targets are answered as they would be without pages', async (t) => {
    await held('/article/slug-8')
    const targets = [
      '/article/%zz',
      '/article/%00',
      '/article/%c3%28',
      '//article/slug-8',
      '/article//slug-8',
      '/article/./slug-8',
      '/article/../article/slug-8',
      '/article/slug-8/',
      '/article/slug-8;a=b',
      '/article/slug-8?',
      '/article/slug-8?part=%zz',
      '/article/slug-8#part',
      '/article/slug-8\\x',
      '/article/slug-8"',
      `/article/${'a'.repeat(14_000)}`,
      `/article/slug-8?part=${'b'.repeat(14_000)}`,
      `/all/${'c/'.repeat(2_000)}`,
      'http://other.example/article/slug-8',
      '/.fourfold/health',
      '*',
    ]
    const ask = async (target: string, more: string): Promise<string> =>
      raw(system.port, `GET ${target} HTTP/1.1\r\nHost: a\r\n${more}Connection: close\r\n\r\n`)
    for (const target of targets) {
      // Twice: what was kept of the first time must not change the second.
      const [own, again] = [await ask(target, ''), await ask(target, '')]
      const clones = await ask(target, 'Authorization: x\r\n')
      for (const answer of [own, again]) {
        assert.equal(answer.split('\r\n')[0], clones.split('\r\n')[0], target.slice(0, 100))
        assert.equal(answer.split('\r\n\r\n')[1], clones.split('\r\n\r\n')[1], target.slice(0, 100))
      }
    }
    t.diagnostic(`${targets.length} targets`)
  })

  test('what two servers could read differently is refused, also for a page', async () => {
    await held('/article/slug-9')
    const refused = [
      'Host: a\r\nHost: b\r\n',
      'Host: a b\r\n',
      '',
      'Host: a\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n',
      'Host: a\r\nTransfer-Encoding: gzip\r\n',
      'Host: a\r\nContent-Length: 5, 5\r\n',
    ]
    for (const head of refused) {
      const answer = await raw(system.port, `GET /article/slug-9 HTTP/1.1\r\n${head}Connection: close\r\n\r\n`)
      assert.match(answer, /^HTTP\/1\.1 400 /, JSON.stringify(head))
    }
  })

  test('answers of balancer and clones keep their order on one connection', async () => {
    await held('/article/slug-10')
    const one = (target: string, more = ''): string => `GET ${target} HTTP/1.1\r\nHost: a\r\n${more}\r\n`
    const text = await raw(
      system.port,
      [
        one('/visit'),
        one('/article/slug-10'),
        one('/article/slug-10', 'Authorization: x\r\n'),
        one('/article/slug-10', 'Cookie: ff_reader=x\r\n'),
        one('/article/slug-10'),
        one('/visit', 'Connection: close\r\n'),
      ].join(''),
    )
    const statuses = text.match(/HTTP\/1\.1 200|cache-status: [\w-]+|^done|\ndone/g)
    assert.deepEqual(statuses, [
      ...['HTTP/1.1 200', '\ndone', 'HTTP/1.1 200', 'cache-status: fourfold-balancer', 'HTTP/1.1 200'],
      ...['cache-status: fourfold', 'HTTP/1.1 200', 'cache-status: fourfold'],
      ...['HTTP/1.1 200', 'cache-status: fourfold-balancer', 'HTTP/1.1 200', '\ndone'],
    ])
  })

  test('addresses with parameters that nobody looks at have the same page', async () => {
    await held('/article/slug-11')
    await Promise.all(Array.from({ length: 40 }, (_, index) => get(`/article/slug-11?utm=${index}`)))
    assert.equal((await see('/article/slug-11?utm=1')).by, 'balancer')
  })

  test('workers are told how often pages are asked for here', async () => {
    const { id } = ground().ff.pages.routes.match('/article/slug-11')!
    // The clone of this test counts its own few.
    await waitFor('40 visits are told', () => (visits.get(id) ?? 0) >= 40)
  })
})

/** Sends bytes and answers all that comes until the connection ends, without what differs from answer to answer. */
async function raw(port: number, bytes: string): Promise<string> {
  const { connect } = await import('node:net')
  return await new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'))
    let text = ''
    socket.setEncoding('latin1').setTimeout(10_000, () => socket.destroy(new Error(`no answer to ${bytes}`)))
    socket.on('data', (chunk: string) => {
      text += chunk
      // A balancer that refused waits for a body that may still come.
      if (text.startsWith('HTTP/1.1 400')) socket.end()
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
  })
}
