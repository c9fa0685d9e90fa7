/** Comments. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { type Answer, type Call, publish } from '../../support/conduit.ts'
import { blank, good, refused, refusedField, timestamp, type Given } from './answers.ts'

export function commentTests(given: Given): void {
  const call: Call = (...sent) => given.call(...sent)

  describe('comments', () => {
    const comments = (): string => `/articles/${given.article.slug}/comments`
    const post = (token: string, body: unknown): Promise<Answer> => call('POST', comments(), { token, body })

    test('a comment is there for everybody until its author deletes it', async () => {
      const { comment } = await good(post(given.bob.token, { comment: { body: 'Well *said*' } }), 201)
      const { id, createdAt, updatedAt, ...rest } = comment
      assert.equal(Number.isInteger(id), true)
      assert.match(createdAt, timestamp)
      assert.match(updatedAt, timestamp)
      const author = { username: given.bob.username, bio: null, image: null, following: false }
      assert.deepEqual(rest, { body: 'Well *said*', author })
      assert.deepEqual((await good(call('GET', comments()))).comments, [comment])
      refused(await call('DELETE', `${comments()}/${id}`, { token: given.ann.token }), 403, { comment: ['forbidden'] })
      const other = await publish(call, given.ann)
      refused(await call('DELETE', `/articles/${other.slug}/comments/${id}`, { token: given.bob.token }), 404, {
        comment: ['not found'],
      })
      const deleted = await call('DELETE', `${comments()}/${id}`, { token: given.bob.token })
      assert.deepEqual([deleted.status, deleted.text], [204, ''])
      assert.deepEqual((await good(call('GET', comments()))).comments, [])
      refused(await call('DELETE', `${comments()}/${id}`, { token: given.bob.token }), 404, { comment: ['not found'] })
    })

    test('an id that no comment can have is not found', async () => {
      for (const id of ['abc', '0', '-1', '1.5', '99999999999999999999', '2147483648', '%00', '1%20']) {
        refused(await call('DELETE', `${comments()}/${id}`, { token: given.bob.token }), 404, {
          comment: ['not found'],
        })
      }
    })

    test('a comment without a text is refused', async () => {
      for (const comment of [{ body: '' }, { body: ' \n' }, {}, { body: null }]) {
        refused(await post(given.bob.token, { comment }), 422, { body: blank })
      }
      refused(await post(given.bob.token, {}), 422, { body: blank })
      refusedField(await post(given.bob.token, { comment: { body: 1 } }), 'body')
      refusedField(await post(given.bob.token, { comment: { body: 'a\0' } }), 'body')
      refusedField(await post(given.bob.token, { comment: 'x' }), 'comment')
    })
  })
}
