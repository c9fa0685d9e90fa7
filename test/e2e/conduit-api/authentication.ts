/** Who may do what, by token. */

import { describe, test } from 'node:test'

import { type Call } from '../../support/conduit.ts'
import { good, refused, type Given } from './answers.ts'

export function authenticationTests(given: Given): void {
  const call: Call = (...sent) => given.call(...sent)

  describe('who may', () => {
    const guarded: [string, string][] = [
      ['GET', '/user'],
      ['PUT', '/user'],
      ['POST', '/profiles/ann/follow'],
      ['DELETE', '/profiles/ann/follow'],
      ['GET', '/articles/feed'],
      ['POST', '/articles'],
      ['PUT', '/articles/no-such-article'],
      ['DELETE', '/articles/no-such-article'],
      ['POST', '/articles/no-such-article/favorite'],
      ['DELETE', '/articles/no-such-article/favorite'],
      ['POST', '/articles/no-such-article/comments'],
      ['DELETE', '/articles/no-such-article/comments/1'],
    ]
    for (const [method, path] of guarded) {
      test(`${method} ${path} needs a token, before anything else is looked at`, async () => {
        const missing = { token: ['is missing'] }
        refused(await call(method, path), 401, missing)
        refused(await call(method, path, { headers: { authorization: 'Bearer abc' } }), 401, missing)
        if (method !== 'GET') refused(await call(method, path, { raw: '{' }), 401, missing)
        for (const token of [
          'abc',
          'a.b.c',
          `${given.ann.token}x`,
          `${given.ann.token} x`,
          unsigned(given.ann.token),
        ]) {
          refused(await call(method, path, { token }), 401, { token: ['is invalid'] })
        }
      })
    }

    test('a token that is not valid is refused where none is needed, too', async () => {
      for (const path of ['/articles', `/articles/${given.article.slug}`, `/profiles/${given.ann.username}`]) {
        refused(await call('GET', path, { token: 'abc' }), 401)
      }
    })

    test('the scheme is written in any case, with any space', async () => {
      for (const authorization of [`token ${given.ann.token}`, `TOKEN   ${given.ann.token}`]) {
        await good(call('GET', '/user', { headers: { authorization } }))
      }
    })
  })
}

/** The same token, without a signature. */
function unsigned(token: string): string {
  const header = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
  return `${header}.${token.split('.')[1]}.`
}
