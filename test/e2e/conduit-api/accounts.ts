/** Registration, login and one's own account. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { type Answer, type Call, register, unique } from '../../support/conduit.ts'
import { blank, good, refused, refusedField, type Given } from './answers.ts'

export function accountTests(given: Given): void {
  const call: Call = (...sent) => given.call(...sent)

  describe('accounts', () => {
    test('registration answers the user with a token, null bio and null image', async () => {
      const name = unique('new')
      const user = { username: name, email: `${name}@example.com`, password: 'correct horse' }
      const body = await good(call('POST', '/users', { body: { user } }), 201)
      assert.deepEqual(Object.keys(body.user).sort(), ['bio', 'email', 'image', 'token', 'username'])
      assert.equal(body.user.username, user.username)
      assert.equal(body.user.email, user.email)
      assert.equal(body.user.bio, null)
      assert.equal(body.user.image, null)
      assert.match(body.user.token, /^[\w-]+\.[\w-]+\.[\w-]+$/)
    })

    const registrations: [string, object, string[]][] = [
      ['an empty name', { username: '' }, ['username']],
      ['a name of white space', { username: '  \t' }, ['username']],
      ['a null name', { username: null }, ['username']],
      ['no name', { username: undefined }, ['username']],
      ['a number for a name', { username: 7 }, ['username']],
      ['a NUL in the name', { username: 'a\0b' }, ['username']],
      ['half a surrogate pair', { username: 'a\ud800' }, ['username']],
      ['a name that is a path', { username: '..' }, ['username']],
      ['a very long name', { username: 'x'.repeat(5000) }, ['username']],
      ['an empty address', { email: '' }, ['email']],
      ['an address without @', { email: 'nobody' }, ['email']],
      ['an object for an address', { email: {} }, ['email']],
      ['an empty password', { password: '' }, ['password']],
      ['a password of 7 characters', { password: '1234567' }, ['password']],
      ['a list for a password', { password: ['correct horse'] }, ['password']],
      ['nothing at all', { username: '', email: '', password: '' }, ['username', 'email', 'password']],
    ]
    for (const [what, changed, fields] of registrations) {
      test(`registration with ${what} is refused, by field`, async () => {
        const name = unique('bad')
        const user = { username: name, email: `${name}@example.com`, password: 'correct horse', ...changed }
        refusedField(await call('POST', '/users', { body: { user } }), ...fields)
      })
    }

    test('blank fields are said to be blank', async () => {
      refused(await call('POST', '/users', { body: { user: { username: '', email: '', password: '' } } }), 422, {
        username: blank,
        email: blank,
        password: blank,
      })
      refused(await call('POST', '/users', { body: {} }), 422, { username: blank, email: blank, password: blank })
    })

    test('a password of 8 characters is long enough', async () => {
      const name = unique('eight')
      const user = { username: name, email: `${name}@example.com`, password: '12345678' }
      await good(call('POST', '/users', { body: { user } }), 201)
    })

    test('taken names and addresses are conflicts', async () => {
      const taken = ['has already been taken']
      const free = unique('free')
      const other = { username: free, email: `${free}@example.com`, password: 'correct horse' }
      refused(await call('POST', '/users', { body: { user: { ...other, username: given.ann.username } } }), 409, {
        username: taken,
      })
      refused(await call('POST', '/users', { body: { user: { ...other, email: given.ann.email } } }), 409, {
        email: taken,
      })
      refused(
        await call('POST', '/users', { body: { user: { ...other, email: given.ann.email.toUpperCase() } } }),
        409,
        {
          email: taken,
        },
      )
      refused(
        await call('POST', '/users', {
          body: { user: { ...other, username: given.ann.username, email: given.bob.email } },
        }),
        409,
        {
          username: taken,
          email: taken,
        },
      )
      refused(
        await call('PUT', '/user', { token: given.bob.token, body: { user: { username: given.ann.username } } }),
        409,
        {
          username: taken,
        },
      )
      refused(await call('PUT', '/user', { token: given.bob.token, body: { user: { email: given.ann.email } } }), 409, {
        email: taken,
      })
      await good(
        call('PUT', '/user', {
          token: given.bob.token,
          body: { user: { username: given.bob.username, email: given.bob.email } },
        }),
      )
    })

    test('of ten who ask for one name at once, one gets it', async () => {
      const name = unique('race')
      const answers = await Promise.all(
        Array.from({ length: 10 }, (_, n) =>
          call('POST', '/users', {
            body: { user: { username: name, email: `${n}${name}@example.com`, password: 'correct horse' } },
          }),
        ),
      )
      assert.deepEqual(
        answers.map((answer) => answer.status).toSorted((one, other) => one - other),
        [201, ...Array.from({ length: 9 }, () => 409)],
      )
    })

    test('login answers the user, by an address in any case', async () => {
      for (const email of [given.ann.email, given.ann.email.toUpperCase(), ` ${given.ann.email} `]) {
        const { user } = await good(
          call('POST', '/users/login', { body: { user: { email, password: given.ann.password } } }),
        )
        assert.equal(user.username, given.ann.username)
        assert.equal((await good(call('GET', '/user', { token: user.token }))).user.email, given.ann.email)
      }
    })

    test('login is refused', async () => {
      const login = (user: unknown): Promise<Answer> => call('POST', '/users/login', { body: { user } })
      const invalid = { credentials: ['invalid'] }
      refused(await login({ email: given.ann.email, password: 'wrong password' }), 401, invalid)
      refused(await login({ email: given.ann.email, password: 'x' }), 401, invalid)
      refused(await login({ email: `${unique('nobody')}@example.com`, password: 'correct horse' }), 401, invalid)
      refused(await login({ email: 'not an address', password: 'correct horse' }), 401, invalid)
      refused(await login({ email: '', password: 'x' }), 422, { email: blank })
      refused(await login({ email: given.ann.email, password: '' }), 422, { password: blank })
      refused(await login({ email: given.ann.email }), 422, { password: blank })
      refused(await login({ password: 'x' }), 422, { email: blank })
      refused(await login({}), 422, { email: blank, password: blank })
      refused(await call('POST', '/users/login', { body: {} }), 422, { email: blank, password: blank })
      refusedField(await login({ email: 1, password: true }), 'email', 'password')
      refusedField(await login({ email: 'a\0@b.c', password: 'x' }), 'email')
      refusedField(await login('ann'), 'user')
      refusedField(await login([given.ann]), 'user')
    })

    test('a change touches only what was sent', async () => {
      const member = await register(call, 'change')
      const change = async (user: object): Promise<any> =>
        (await good(call('PUT', '/user', { token: member.token, body: { user } }))).user
      assert.equal((await change({ bio: 'A life' })).bio, 'A life')
      const pictured = await change({ image: 'https://example.com/a.png' })
      assert.equal(pictured.bio, 'A life')
      assert.equal(pictured.image, 'https://example.com/a.png')
      assert.equal(pictured.username, member.username)
      const { user } = await good(call('GET', '/user', { token: member.token }))
      assert.equal(user.image, 'https://example.com/a.png')
      assert.equal((await change({ bio: '' })).bio, null)
      assert.equal((await change({ image: null })).image, null)
      assert.equal((await change({ bio: 'x', image: '' })).image, null)
      const renamed = unique('renamed')
      assert.equal((await change({ username: renamed })).username, renamed)
      assert.equal((await change({ email: `${renamed}@example.com` })).email, `${renamed}@example.com`)
      await change({ password: 'another horse' })
      const body = { user: { email: `${renamed}@example.com`, password: 'another horse' } }
      await good(call('POST', '/users/login', { body }))
      refused(await call('POST', '/users/login', { body: { user: { ...body.user, password: member.password } } }), 401)
    })

    const changes: [string, object][] = [
      ['username', { username: '' }],
      ['username', { username: null }],
      ['email', { email: '' }],
      ['email', { email: ' ' }],
      ['email', { email: null }],
      ['password', { password: '' }],
      ['password', { password: '1234567' }],
      ['password', { password: null }],
      ['bio', { bio: 5 }],
      ['bio', { bio: 'x'.repeat(100_000) }],
      ['image', { image: {} }],
      ['image', { image: 'a\0' }],
    ]
    for (const [field, user] of changes) {
      test(`a change to ${JSON.stringify(user).slice(0, 40)} is refused`, async () => {
        refusedField(await call('PUT', '/user', { token: given.bob.token, body: { user } }), field)
      })
    }

    test('a change without any field is refused', async () => {
      for (const body of [{}, { user: {} }, { user: null }, { user: 'x' }]) {
        refusedField(await call('PUT', '/user', { token: given.bob.token, body }), 'user')
      }
    })
  })
}
