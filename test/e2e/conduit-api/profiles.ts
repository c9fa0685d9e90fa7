/** Profiles and following. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { type Call, unique } from '../../support/conduit.ts'
import { good, refused, type Given } from './answers.ts'

export function profileTests(given: Given): void {
  const call: Call = (...sent) => given.call(...sent)

  describe('profiles', () => {
    test('following and unfollowing, once or twice, is seen by the follower only', async () => {
      const path = `/profiles/${given.ann.username}`
      const { profile } = await good(call('GET', path))
      assert.deepEqual(profile, { username: given.ann.username, bio: null, image: null, following: false })
      for (let time = 0; time < 2; time++) {
        assert.equal((await good(call('POST', `${path}/follow`, { token: given.bob.token }))).profile.following, true)
      }
      assert.equal((await good(call('GET', path, { token: given.bob.token }))).profile.following, true)
      assert.equal((await good(call('GET', path, { token: given.ann.token }))).profile.following, false)
      assert.equal((await good(call('GET', path))).profile.following, false)
      for (let time = 0; time < 2; time++) {
        assert.equal(
          (await good(call('DELETE', `${path}/follow`, { token: given.bob.token }))).profile.following,
          false,
        )
      }
      assert.equal((await good(call('GET', path, { token: given.bob.token }))).profile.following, false)
    })

    test('an unknown profile is not found', async () => {
      for (const name of [unique('nobody'), '%00', '%F0%9F%8C%8D', 'x'.repeat(2000)]) {
        const missing = { profile: ['not found'] }
        refused(await call('GET', `/profiles/${name}`), 404, missing)
        refused(await call('POST', `/profiles/${name}/follow`, { token: given.ann.token }), 404, missing)
        refused(await call('DELETE', `/profiles/${name}/follow`, { token: given.ann.token }), 404, missing)
      }
    })

    test('a name may have spaces, slashes and any script', async () => {
      const username = `${unique('Zoë ')} / 名前?#%`
      const user = { username, email: `${unique('zoe')}@example.com`, password: 'correct horse' }
      await good(call('POST', '/users', { body: { user } }), 201)
      const { profile } = await good(call('GET', `/profiles/${encodeURIComponent(username)}`))
      assert.equal(profile.username, username)
      const list = await good(call('GET', `/articles?author=${encodeURIComponent(username)}`))
      assert.deepEqual(list, { articles: [], articlesCount: 0 })
    })
  })
}
