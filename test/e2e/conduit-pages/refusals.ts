/** What is not a page, and who may not send a form. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { register } from '../../support/conduit.ts'
import { count, signIn, visit, type Given } from './visits.ts'

export function refusalTests(given: Given): void {
  describe('what is not a page', () => {
    test('unknown addresses are pages with status 404, broken ones 400', async (t) => {
      const { page } = await visit(t, given)
      const paths = [
        '/nope',
        '/article/nope',
        '/profile/nope',
        '/article/%00',
        '/profile/%00',
        '/tag/%00',
        '/?page=x',
        '/?page=0',
        '/?page=-1',
        '/assets/nope.css',
      ]
      for (const path of [...paths, '/?page=1&page=2', '/assets/..%2fsrc%2fapp.ts']) {
        const answer = await page.goto(path)
        assert.equal(answer?.status(), 404, path)
        assert.equal(await count(page, 'nav.navbar'), 1)
      }
      const broken = await fetch(`${given.url}/article/%zz`)
      assert.equal(broken.status, 400)
      assert.match(broken.headers.get('content-type') ?? '', /^text\/html/)
    })

    test('slashes too many in front lead to no other host', async () => {
      for (const path of ['//', '///?page=2', '//elsewhere.example/tag/x']) {
        const answer = await fetch(given.url + path)
        assert.ok([200, 404].includes(answer.status), `${path}: ${answer.status}`)
        assert.doesNotMatch(await answer.text(), /href="\/\//)
      }
    })

    test('a form from another site is refused', async (t) => {
      const visitor = await visit(t, given)
      await signIn(visitor, await register(given.call))
      const send = async (headers: Record<string, string>): Promise<number> =>
        (await visitor.context.request.post('/logout', { headers, maxRedirects: 0 })).status()
      assert.equal(await send({ origin: 'https://elsewhere.example' }), 403)
      assert.equal(await send({ origin: 'null' }), 403)
      assert.equal(await send({ 'sec-fetch-site': 'cross-site' }), 403)
      assert.equal(await send({ 'sec-fetch-site': 'same-site', origin: given.url }), 403)
      assert.equal((await visitor.context.request.get('/settings')).url(), `${given.url}/settings`)
      assert.equal(await send({ origin: given.url }), 303)
    })

    test('forms of the wrong kind or size are refused', async () => {
      const post = (path: string, type: string, body: string): Promise<Response> =>
        fetch(`${given.url}${path}`, { method: 'POST', headers: { 'content-type': type }, body, redirect: 'manual' })
      const form = 'application/x-www-form-urlencoded'
      assert.equal((await post('/login', 'application/json', '{}')).status, 415)
      assert.equal((await post('/login', 'text/plain', 'email=x')).status, 415)
      assert.equal((await post('/login', form, `email=${'x'.repeat(3 * 1024 * 1024)}`)).status, 413)
      assert.equal((await post('/login', form, '')).status, 422)
      assert.equal((await post('/login', form, 'email=a%00@b.c&password=x')).status, 422)
      assert.equal((await post('/login', form, 'email=a&email=b&password=%zz')).status, 401)
      assert.equal((await post('/register', form, '__proto__=x&constructor=y')).status, 422)
      assert.equal((await post('/nope', form, 'a=b')).status, 404)
    })

    test('a bad cookie is no session', async () => {
      for (const cookie of [
        'ff_session=nonsense',
        'ff_session=%zz; ff_reader=x.y',
        'ff_session=; ff_session=a',
        '=;;=',
      ]) {
        const answer = await fetch(given.url, { headers: { cookie } })
        assert.equal(answer.status, 200)
      }
    })

    test('files are kept by what is in them', async () => {
      const home = await (await fetch(given.url)).text()
      const [href = ''] = /\/assets\/style\.css\?v=[\w-]+/.exec(home) ?? []
      const file = await fetch(given.url + href)
      assert.match(file.headers.get('cache-control') ?? '', /immutable/)
      const etag = file.headers.get('etag') ?? ''
      assert.equal((await fetch(given.url + href, { headers: { 'if-none-match': etag } })).status, 304)
      assert.match(
        (await fetch(`${given.url}/assets/style.css?v=other`)).headers.get('cache-control') ?? '',
        /no-cache/,
      )
    })
  })
}
