/** Pages in a clone: found, rendered, answered as fresh as their reader needs them. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request, type IncomingMessage, type Server } from 'node:http'
import { after, before, suite, test } from 'node:test'

import { definePage } from '../../src/pages/define-page.ts'
import { cacheGround } from '../support/cache-app.ts'
import { pageAdapters, startPageServer } from '../support/page-servers.ts'
import { waitFor } from '../support/wait-for.ts'

let renders = 0
let failing = false
const filler = '<p>text</p>'.repeat(200)
const article = definePage({
  path: '/article/:slug',
  query: ['part'],
  render: async ({ main, notFound, query }: any, { slug }) => {
    renders += 1
    if (failing) throw new Error('no butter')
    if (slug.startsWith('-')) return notFound('<h1>no address of an article</h1>')
    const row = await main.selectFrom('articles').selectAll().where('slug', '=', slug).executeTakeFirst()
    return row === undefined ? notFound(`<h1>no ${slug}</h1>`) : `<h1>${row.title}</h1>${query.part ?? ''}${filler}`
  },
})
const nosy = definePage({ path: '/nosy', render: ({ session }: any) => `<h1>${session}</h1>` })
const nosyToo = definePage({
  path: '/nosy-too',
  otherQuery: 'route',
  render: ({ session }: any) => `<h1>${session}</h1>`,
})
const cookies = definePage({
  path: '/cookies',
  render: () => new Response('x', { headers: { 'set-cookie': 'a=b' } }),
})
const feed = definePage({
  path: '/feed.xml',
  edge: { fresh: '1h', staleWhileRevalidate: '1d' },
  browser: '1m',
  ttl: '1h',
  render: () => new Response('<rss/>', { headers: { 'content-type': 'application/rss+xml' } }),
})

for (const adapter of pageAdapters) {
  suite(`pages in a clone, by ${adapter}`, () => {
    const bakeRoutes = ['/legacy/*', { path: '/search', query: ['q'] }]
    const ground = cacheGround([], { config: { pages: [article, nosy, nosyToo, cookies, feed], bakeRoutes } })
    let server: Server
    let base = ''
    const get = (path: string, init: RequestInit = {}): Promise<Response> =>
      fetch(base + path, { redirect: 'manual', ...init })
    const kept = (path: string): Promise<unknown> =>
      waitFor(
        `${path} is kept`,
        async () => (await get(path)).headers.get('cache-status') === 'fourfold; hit; detail=memory',
      )

    before(async () => {
      ;({ server, base } = await startPageServer(adapter, ground().ff))
    })
    after(() => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())))

    test('a page is rendered once and answered from memory until a row that it shows changes', async () => {
      await kept('/article/slug-1')
      const before = renders
      assert.match(await (await get('/article/slug-1')).text(), /title 1<\/h1>/)
      assert.equal(renders, before)
      await ground().outside.query(`update articles set title = 'new' where slug = 'slug-1'`)
      await waitFor('the new page', async () => (await (await get('/article/slug-1')).text()).includes('<h1>new</h1>'))
      assert.equal(await (await get('/other')).text(), 'other')
    })

    test('parameters of the query make another page where they are allowed, and none where not', async () => {
      assert.match(await (await get('/article/slug-2?part=two')).text(), /<\/h1>two/)
      await kept('/article/slug-2')
      const before = renders
      assert.match(await (await get('/article/slug-2?utm_source=x')).text(), /title 2<\/h1><p>/)
      assert.equal(renders, before)
    })

    test('a page that is not there is a 404 until it is', async () => {
      await waitFor('the 404 is kept', async () => {
        const answer = await get('/article/later')
        assert.equal(answer.status, 404)
        return answer.headers.get('cache-status') === 'fourfold; hit; detail=memory'
      })
      await ground().outside.query(`insert into articles values (900, 'later', 1, 'came later')`)
      await waitFor('the page', async () => (await get('/article/later')).status === 200)
      await ground().outside.query(`delete from articles where id = 900`)
      await waitFor('the 404', async () => (await get('/article/later')).status === 404)
    })

    test('a page that is not there by its address alone is a 404, and nothing is kept', async () => {
      for (let visit = 0; visit < 3; visit += 1) {
        const answer = await get('/article/-1')
        assert.equal(answer.status, 404)
        assert.equal(await answer.text(), '<h1>no address of an article</h1>')
        assert.doesNotMatch(answer.headers.get('cache-status') ?? '', /hit/)
      }
      assert.equal((await get('/article/-1', { method: 'HEAD' })).status, 404)
    })

    test('encodings, conditions and HEAD', async () => {
      await kept('/article/slug-3')
      const plain = await get('/article/slug-3', { headers: { 'accept-encoding': 'identity' } })
      const br = await get('/article/slug-3', { headers: { 'accept-encoding': 'gzip, br' } })
      const gzip = await get('/article/slug-3', { headers: { 'accept-encoding': 'gzip, br;q=0' } })
      assert.deepEqual(
        [plain, br, gzip].map((answer) => answer.headers.get('content-encoding')),
        [null, 'br', 'gzip'],
      )
      const texts = await Promise.all([plain, br, gzip].map((answer) => answer.text()))
      assert.equal(new Set(texts).size, 1)
      const tags = [plain, br, gzip].map((answer) => answer.headers.get('etag')!)
      assert.equal(new Set(tags).size, 3)
      for (const tag of [tags[1]!, `W/${tags[1]!}`, `"other", ${tags[1]!}`, '*']) {
        const headers = { 'if-none-match': tag, 'accept-encoding': 'br' }
        const answer = await get('/article/slug-3', { headers })
        assert.deepEqual([answer.status, await answer.text(), answer.headers.has('content-length')], [304, '', false])
        assert.equal(answer.headers.get('vary'), 'accept-encoding')
      }
      assert.equal((await get('/article/slug-3', { headers: { 'if-none-match': '"other"' } })).status, 200)
      const head = await get('/article/slug-3', { method: 'HEAD', headers: { 'accept-encoding': 'br' } })
      assert.equal(head.headers.get('content-length'), br.headers.get('content-length'))
      assert.equal(await head.text(), '')
      assert.equal(plain.headers.get('cache-control'), adapter === 'express' ? 'private, no-cache' : 'public, no-cache')
      const rss = await get('/feed.xml')
      assert.equal(rss.headers.get('content-type'), 'application/rss+xml')
      // What its sessions add is not known yet.
      if (adapter === 'express') return
      assert.equal(rss.headers.get('cache-control'), 'public, max-age=60, must-revalidate')
      assert.equal(rss.headers.get('cdn-cache-control'), 'max-age=3600, stale-while-revalidate=86400')
    })

    test('what is personal is refused', async () => {
      const nosyAnswer = await get('/nosy', { headers: { accept: 'application/json' } })
      assert.equal(nosyAnswer.status, 500)
      const { ff } = ground()
      for (const [path, code] of [
        ['/nosy', 'FF_PAGE_PERSONAL'],
        ['/nosy-too', 'FF_PAGE_PERSONAL'],
        ['/cookies', 'FF_PAGE_ANSWER'],
      ] as const) {
        await assert.rejects(ff.pages.find(ff.pages.match({ method: 'GET', url: path })!, ff.scope), { code })
      }
    })

    test('who wrote sees it, and a render that fails keeps the page for whoever has written nothing', async () => {
      await kept('/article/slug-9')
      const written = await get('/write', { method: 'POST' })
      const cookie = written.headers
        .getSetCookie()
        .map((one) => one.split(';')[0])
        .join('; ')
      assert.match(await (await get('/article/slug-9', { headers: { cookie } })).text(), /by me/)
      await kept('/article/slug-9')
      await ground().outside.query(`update articles set title = 'broken' where slug = 'slug-9'`)
      failing = true
      try {
        await waitFor('the page of before', async () => {
          const answer = await get('/article/slug-9')
          assert.equal(answer.status, 200)
          assert.match(await answer.text(), /by me/)
          return answer.headers.get('cache-status') === 'fourfold; hit; detail=failed'
        })
        const again = await get('/write', { method: 'POST', headers: { cookie } })
        assert.equal(again.status, 200)
        assert.equal((await get('/article/slug-9', { headers: { cookie } })).status, 500)
      } finally {
        failing = false
      }
      assert.match(await (await get('/article/slug-9', { headers: { cookie } })).text(), /by me/)
    })

    test('routes of the app are baked without a rewrite, and end with what they read', async () => {
      await kept('/legacy/slug-20')
      assert.equal(await (await get('/legacy/slug-20')).text(), 'legacy title 20 by user 7')
      await ground().outside.query(`update articles set title = 'newer' where slug = 'slug-20'`)
      await waitFor('the new title', async () => (await (await get('/legacy/slug-20')).text()).includes('newer'))
      await kept('/legacy/slug-20')
      await ground().outside.query(`update users set name = 'Seven' where id = 7`)
      await waitFor('the new name', async () => (await (await get('/legacy/slug-20')).text()).endsWith('Seven'))
      await kept('/search?q=slug-21')
      assert.match(await (await get('/search?q=slug-21')).text(), /legacy title 21/)
      const other = await get('/search?q=slug-21&page=2')
      assert.equal(other.headers.get('cache-status'), null, 'a parameter that nobody allowed may mean anything')
      await ground().outside.query(`update users set name = 'user 7' where id = 7`)
    })

    test('a route that looks at the session, or reads nothing that is followed, is left to the app', async () => {
      for (const path of ['/legacy/mine', '/legacy/plain']) {
        for (let round = 0; round < 2; round += 1) {
          const answer = await get(path)
          assert.deepEqual([answer.status, answer.headers.get('cache-status')], [200, null])
        }
      }
      // Nobody outside can pass for a bake.
      const forged = await get('/legacy/mine', { headers: { 'x-fourfold-bake': 'a'.repeat(22) } })
      assert.equal(forged.status, 200)
    })

    test('a route that begins to look at the session is the app’s from then on', async () => {
      await kept('/legacy/turning-1')
      await ground().outside.query(`update articles set title = 'mine' where slug = 'slug-30'`)
      await waitFor('the app to answer', async () => {
        const answer = await get('/legacy/turning-1')
        return answer.headers.get('cache-status') === null && (await answer.text()) === 'mine true'
      })
      await ground().outside.query(`update articles set title = 'title 30' where slug = 'slug-30'`)
    })

    test('addresses that are no paths are left to the app', async () => {
      for (const path of ['/article/%zz', '/article/%00', `/article/${'x'.repeat(2000)}`, '/article/a/b']) {
        assert.ok([200, 400, 404].includes((await get(path)).status), path)
      }
      const { hostname, port } = new URL(base)
      // To an app on Hono they are what they lead to, and nothing else.
      const dotted = adapter === 'hono' ? [] : ['/legacy/%2e%2e/search?q=slug-22', '/legacy/../search']
      for (const path of [...dotted, '/legacy/a%2Fslug-22']) {
        for (let round = 0; round < 2; round += 1) {
          // `fetch` would make other addresses of these.
          const [answer] = (await once(request({ hostname, port, path }).end(), 'response')) as [IncomingMessage]
          answer.resume()
          assert.equal(answer.headers['cache-status'], undefined, path)
        }
      }
    })
  })
}
