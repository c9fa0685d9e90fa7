/** For whom a page is: who is answered with it, and who by the app's own route at its address; in balancer and clone. */

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import { definePage } from '../../src/pages/define-page.ts'
import { createPageSource } from '../../src/pages/page-source.ts'
import { balancePages, type BalancedPages } from '../support/balanced-pages.ts'
import { cacheGround } from '../support/cache-app.ts'
import { waitFor } from '../support/wait-for.ts'

const secret = 'a secret of at least thirty-two characters'
const rendered = '<p>baked</p>'.repeat(100)
const render = async ({ main }: any): Promise<string> => {
  await main.selectFrom('articles').select('title').where('slug', '=', 'slug-1').execute()
  return rendered
}
const pages = [
  definePage({ path: '/', query: ['page'], otherQuery: 'route', readers: 'scripted', render }),
  definePage({ path: '/anonymous', readers: 'anonymous', render }),
  definePage({ path: '/everybody', query: ['page'], render }),
]

async function handle(request: any, response: any): Promise<void> {
  if (request.url === '/login') request.session.set('user', 'ann')
  response.end('route')
}

for (const identifies of [false, true]) {
  suite(`the readers of pages, ${identifies ? 'with' : 'without'} an app's own identify`, () => {
    /** Known by the session, or by a cookie that only the app can read. */
    const identify = async ({ headers, session }: any): Promise<string | null> =>
      /who=(\w+)/.exec(headers.cookie ?? '')?.[1] ?? (await session.get('user')) ?? null
    const config = { pages, sessions: { secrets: [secret] }, ...(identifies && { identify }) }
    const ground = cacheGround([], { config })
    let system: BalancedPages
    let session = ''

    const ask = async (path: string, headers: Record<string, string> = {}): Promise<string> => {
      const answer = await fetch(system.url + path, { headers })
      if ((await answer.text()) === 'route') return 'route'
      return answer.headers.get('cache-status')?.startsWith('fourfold-balancer') === true ? 'balancer' : 'clone'
    }
    const asked = async (path: string, headers: Record<string, string>, by: string): Promise<void> => {
      await waitFor(`${path} by the ${by}`, async () => (await ask(path, headers)) === by)
      for (let round = 0; round < 5; round += 1) assert.equal(await ask(path, headers), by, path)
    }

    before(async () => {
      system = await balancePages(ground().ff, config, handle)
      const login = await fetch(`${system.url}/login`)
      session = login.headers.getSetCookie()[0]!.split(';')[0]!
    })
    after(() => system.stop())

    test('a reader whom nobody knows is answered with any of them', async () => {
      for (const path of ['/', '/?page=2', '/anonymous', '/everybody']) await asked(path, {}, 'balancer')
    })

    test('a reader with a session is answered by the route, unless the page is for them too', async () => {
      for (const path of ['/', '/?page=2', '/anonymous']) await asked(path, { cookie: session }, 'route')
      // What a clone notes about the session, and the balancer then knows, changes nothing.
      await asked('/everybody', { cookie: session }, 'balancer')
      for (const path of ['/', '/anonymous']) await asked(path, { cookie: session }, 'route')
      await asked('/', { cookie: `__Host-${session}` }, 'route')
    })

    test('a browser that fills in what is personal gets the page', async () => {
      const cookie = `${session}; ff_fragments=1`
      await asked('/', { cookie }, 'balancer')
      await asked('/anonymous', { cookie }, 'route')
      assert.equal(await ask('/', { cookie: `${session}; ff_fragments=0` }), 'route')
      assert.equal(await ask('/', { cookie: `${session}; x=ff_fragments=1` }), 'route')
    })

    test('other credentials are of somebody, as the app says', async () => {
      assert.equal(await ask('/', { authorization: 'Bearer x' }), 'route')
      assert.equal(await ask('/everybody', { authorization: 'Bearer x' }), 'clone')
      for (const path of ['/', '/anonymous']) {
        assert.equal(await ask(path, { cookie: 'who=ann' }), identifies ? 'route' : 'balancer')
        assert.equal(await ask(path, { cookie: 'theme=dark' }), identifies ? 'clone' : 'balancer')
      }
    })

    test('an address with other parameters is the route where the page says so, with one twice always', async () => {
      await asked('/everybody?utm_source=x', {}, 'balancer')
      for (const path of ['/?feed=mine', '/?page=2&feed=mine', '/?page=1&page=2', '/everybody?page=1&page=2']) {
        await asked(path, {}, 'route')
      }
    })

    test('an answer that hangs on who reads says so', async () => {
      const varies = async (path: string, headers = {}): Promise<string | null> => {
        const answer = await fetch(system.url + path, { headers })
        await answer.body?.cancel()
        return `${answer.status} ${answer.headers.get('vary')}`
      }
      assert.equal(await varies('/'), '200 authorization, cookie, accept-encoding')
      assert.equal(await varies('/', { 'if-none-match': '*' }), '304 authorization, cookie, accept-encoding')
      assert.equal(await varies('/everybody'), '200 accept-encoding')
    })
  })
}

test('what is no kind of reader is refused', () => {
  const page = { path: '/x', render: () => 'x' }
  for (const wrong of [{ readers: 'me' }, { otherQuery: 'strict' }]) {
    const definition = definePage({ ...page, ...wrong } as never)
    assert.throws(() => createPageSource(definition, '', (() => ({})) as never), { code: 'FF_PAGE_DEFINITION' })
  }
})
