/** Requests that are not as they should be. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { type Call, publish } from '../../support/conduit.ts'
import { good, refused, refusedField, type Given } from './answers.ts'

export function badRequestTests(given: Given): void {
  const call: Call = (...sent) => given.call(...sent)

  describe('requests that are not as they should be', () => {
    test('malformed JSON', async () => {
      for (const raw of ['{', '{"user":', "{'user':1}", '{"a":1}x', '\u0000']) {
        refused(await call('POST', '/users', { raw }), 400, { body: ['malformed'] })
        refused(await call('POST', '/articles', { raw, token: given.ann.token }), 400, { body: ['malformed'] })
      }
    })

    test('JSON that is no object', async () => {
      for (const raw of ['[]', '"x"', '5', 'null', 'true', '[{"user":{}}]']) {
        refusedField(await call('POST', '/users', { raw }), 'body')
      }
    })

    test('other types of content', async () => {
      const raw = 'user[email]=x'
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'nonsense']) {
        refused(await call('POST', '/users', { raw, headers: { 'content-type': type } }), 415)
      }
      const charset = { 'content-type': 'application/json; charset=utf-8' }
      refused(await call('POST', '/users', { raw: '{}', headers: charset }), 422)
    })

    test('no body, with a type of content', async () => {
      const { slug } = await publish(call, given.ann)
      const headers = { 'content-type': 'application/json' }
      await good(call('POST', `/articles/${slug}/favorite`, { token: given.bob.token, headers, raw: '' }))
      await good(call('DELETE', `/articles/${slug}/favorite`, { token: given.bob.token, headers }))
      await good(
        call('POST', `/profiles/${given.ann.username}/follow`, {
          token: given.bob.token,
          headers: { 'content-type': 'text/plain' },
        }),
      )
      refused(await call('POST', '/users', { headers }), 422)
    })

    test('a body that is too large', async () => {
      const body = { article: { title: 'T', description: 'D', body: 'x'.repeat(10 * 1024 * 1024) } }
      refused(await call('POST', '/articles', { token: given.ann.token, body }), 413)
      refused(await call('POST', '/users', { body: { user: { username: 'x'.repeat(3 * 1024 * 1024) } } }), 413)
      refused(await call('POST', '/articles', { body }), 401)
      refused(await call('POST', '/nope', { body }), 404)
      const huge = 'x'.repeat(40 * 1024 * 1024)
      refused(await call('POST', '/users', { raw: huge }), 413, { body: ['is too large'] })
    })

    test('a prototype in JSON is no field', async () => {
      const raw = '{"user":{"__proto__":{"username":"x"},"email":"a@b.c","password":"correct horse"}}'
      refusedField(await call('POST', '/users', { raw }), 'username')
    })

    test('unknown routes', async () => {
      const calls = [
        ['GET', '/nope'],
        ['POST', '/'],
        ['GET', ''],
        ['PATCH', '/user'],
        ['PUT', '/articles'],
        ['GET', '/users'],
      ]
      for (const [method = '', path = ''] of calls) {
        refused(await call(method, path, { token: given.ann.token }), 404, { route: ['not found'] })
        if (method !== 'GET') refused(await call(method, path, { raw: '{' }), 404, { route: ['not found'] })
      }
    })

    test('an address whose encoding is broken', async () => {
      refused(await call('GET', '/articles/%zz'), 400)
      refused(await call('GET', '/profiles/%C3%28'), 400)
      await good(call('GET', '/articles?foo=%zz&bar=1'))
    })

    test('HEAD answers like GET without a body, OPTIONS as browsers ask it', async () => {
      const head = await call('HEAD', '/tags')
      assert.deepEqual([head.status, head.text], [200, ''])
      const options = await call('OPTIONS', '/articles', {
        headers: { origin: 'http://elsewhere.example', 'access-control-request-method': 'POST' },
      })
      assert.equal(options.status, 204)
      assert.equal(options.headers.get('access-control-allow-origin'), '*')
      assert.match(options.headers.get('access-control-allow-methods') ?? '', /POST/)
    })
  })
}
