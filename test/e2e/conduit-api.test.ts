/** Conduit's API as a client sees it: status by status, field by field. */

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import {
  type Answer,
  type Call,
  createClient,
  type Member,
  publish,
  register,
  type Sending,
  startConduit,
  unique,
} from '../support/conduit.ts'

let stop = async (): Promise<void> => {}
let call: Call
let ann: Member
let bob: Member
/** Ann's. */
let article: any

before(
  async () => {
    const conduit = await startConduit({ after: (end: () => Promise<void>) => void (stop = end) })
    call = createClient(conduit.url)
    ann = await register(call, 'ann')
    bob = await register(call, 'bob')
    article = await publish(call, ann)
  },
  { timeout: 60_000 },
)

after(() => stop())

const timestamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const blank = ["can't be blank"]

function refused(answer: Answer, status: number, errors?: object): void {
  assert.equal(answer.status, status, answer.text)
  assert.match(answer.headers.get('content-type') ?? '', /^application\/json/)
  assert.deepEqual(Object.keys(answer.json), ['errors'])
  for (const messages of Object.values(answer.json.errors)) {
    assert.ok(Array.isArray(messages) && messages.every((message) => typeof message === 'string'), answer.text)
  }
  if (errors) assert.deepEqual(answer.json.errors, errors)
}

/** A refused field, whatever the words. */
function refusedField(answer: Answer, ...fields: string[]): void {
  refused(answer, 422)
  assert.deepEqual(Object.keys(answer.json.errors).sort(), fields.sort())
}

async function good(answer: Promise<Answer>, status = 200): Promise<any> {
  const { status: got, text, json } = await answer
  assert.equal(got, status, text)
  return json
}

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
    refused(await call('POST', '/users', { body: { user: { ...other, username: ann.username } } }), 409, {
      username: taken,
    })
    refused(await call('POST', '/users', { body: { user: { ...other, email: ann.email } } }), 409, { email: taken })
    refused(await call('POST', '/users', { body: { user: { ...other, email: ann.email.toUpperCase() } } }), 409, {
      email: taken,
    })
    refused(
      await call('POST', '/users', { body: { user: { ...other, username: ann.username, email: bob.email } } }),
      409,
      {
        username: taken,
        email: taken,
      },
    )
    refused(await call('PUT', '/user', { token: bob.token, body: { user: { username: ann.username } } }), 409, {
      username: taken,
    })
    refused(await call('PUT', '/user', { token: bob.token, body: { user: { email: ann.email } } }), 409, {
      email: taken,
    })
    await good(call('PUT', '/user', { token: bob.token, body: { user: { username: bob.username, email: bob.email } } }))
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
    for (const email of [ann.email, ann.email.toUpperCase(), ` ${ann.email} `]) {
      const { user } = await good(call('POST', '/users/login', { body: { user: { email, password: ann.password } } }))
      assert.equal(user.username, ann.username)
      assert.equal((await good(call('GET', '/user', { token: user.token }))).user.email, ann.email)
    }
  })

  test('login is refused', async () => {
    const login = (user: unknown): Promise<Answer> => call('POST', '/users/login', { body: { user } })
    const invalid = { credentials: ['invalid'] }
    refused(await login({ email: ann.email, password: 'wrong password' }), 401, invalid)
    refused(await login({ email: ann.email, password: 'x' }), 401, invalid)
    refused(await login({ email: `${unique('nobody')}@example.com`, password: 'correct horse' }), 401, invalid)
    refused(await login({ email: 'not an address', password: 'correct horse' }), 401, invalid)
    refused(await login({ email: '', password: 'x' }), 422, { email: blank })
    refused(await login({ email: ann.email, password: '' }), 422, { password: blank })
    refused(await login({ email: ann.email }), 422, { password: blank })
    refused(await login({ password: 'x' }), 422, { email: blank })
    refused(await login({}), 422, { email: blank, password: blank })
    refused(await call('POST', '/users/login', { body: {} }), 422, { email: blank, password: blank })
    refusedField(await login({ email: 1, password: true }), 'email', 'password')
    refusedField(await login({ email: 'a\0@b.c', password: 'x' }), 'email')
    refusedField(await login('ann'), 'user')
    refusedField(await login([ann]), 'user')
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
      refusedField(await call('PUT', '/user', { token: bob.token, body: { user } }), field)
    })
  }

  test('a change without any field is refused', async () => {
    for (const body of [{}, { user: {} }, { user: null }, { user: 'x' }]) {
      refusedField(await call('PUT', '/user', { token: bob.token, body }), 'user')
    }
  })
})

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
      for (const token of ['abc', 'a.b.c', `${ann.token}x`, `${ann.token} x`, unsigned(ann.token)]) {
        refused(await call(method, path, { token }), 401, { token: ['is invalid'] })
      }
    })
  }

  test('a token that is not valid is refused where none is needed, too', async () => {
    for (const path of ['/articles', `/articles/${article.slug}`, `/profiles/${ann.username}`]) {
      refused(await call('GET', path, { token: 'abc' }), 401)
    }
  })

  test('the scheme is written in any case, with any space', async () => {
    for (const authorization of [`token ${ann.token}`, `TOKEN   ${ann.token}`]) {
      await good(call('GET', '/user', { headers: { authorization } }))
    }
  })
})

describe('profiles', () => {
  test('following and unfollowing, once or twice, is seen by the follower only', async () => {
    const path = `/profiles/${ann.username}`
    const { profile } = await good(call('GET', path))
    assert.deepEqual(profile, { username: ann.username, bio: null, image: null, following: false })
    for (let time = 0; time < 2; time++) {
      assert.equal((await good(call('POST', `${path}/follow`, { token: bob.token }))).profile.following, true)
    }
    assert.equal((await good(call('GET', path, { token: bob.token }))).profile.following, true)
    assert.equal((await good(call('GET', path, { token: ann.token }))).profile.following, false)
    assert.equal((await good(call('GET', path))).profile.following, false)
    for (let time = 0; time < 2; time++) {
      assert.equal((await good(call('DELETE', `${path}/follow`, { token: bob.token }))).profile.following, false)
    }
    assert.equal((await good(call('GET', path, { token: bob.token }))).profile.following, false)
  })

  test('an unknown profile is not found', async () => {
    for (const name of [unique('nobody'), '%00', '%F0%9F%8C%8D', 'x'.repeat(2000)]) {
      const missing = { profile: ['not found'] }
      refused(await call('GET', `/profiles/${name}`), 404, missing)
      refused(await call('POST', `/profiles/${name}/follow`, { token: ann.token }), 404, missing)
      refused(await call('DELETE', `/profiles/${name}/follow`, { token: ann.token }), 404, missing)
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

describe('articles', () => {
  test('an article has every field, also for those who did not write it', async () => {
    const sent = {
      title: unique('How to train '),
      description: 'Ever wonder?',
      body: '# Yes',
      tagList: ['b', 'a', 'c'],
    }
    const made = await publish(call, ann, sent)
    const { slug, createdAt, updatedAt, ...rest } = made
    assert.match(createdAt, timestamp)
    assert.match(updatedAt, timestamp)
    assert.match(slug, /^how-to-train-[\da-f]+$/)
    const author = { username: ann.username, bio: null, image: null, following: false }
    assert.deepEqual(rest, { ...sent, favorited: false, favoritesCount: 0, author })
    assert.deepEqual((await good(call('GET', `/articles/${slug}`))).article, made)
    assert.deepEqual((await good(call('GET', `/articles/${slug}`, { token: bob.token }))).article, made)
  })

  const articles: [string, object, string[]][] = [
    ['an empty title', { title: '' }, ['title']],
    ['a title of white space', { title: '   ' }, ['title']],
    ['no description', { description: undefined }, ['description']],
    ['a null body', { body: null }, ['body']],
    ['a number for a title', { title: 5 }, ['title']],
    ['a NUL in the body', { body: 'a\0' }, ['body']],
    ['a very long title', { title: 'x'.repeat(10_000) }, ['title']],
    ['a text for tags', { tagList: 'a,b' }, ['tagList']],
    ['null for tags', { tagList: null }, ['tagList']],
    ['numbers for tags', { tagList: [1, 2] }, ['tagList']],
    ['a NUL in a tag', { tagList: ['a\0'] }, ['tagList']],
    ['a very long tag', { tagList: ['x'.repeat(5000)] }, ['tagList']],
    ['a thousand tags', { tagList: Array.from({ length: 1000 }, (_, n) => `t${n}`) }, ['tagList']],
    ['nothing in it', { title: undefined, description: undefined, body: undefined }, ['title', 'description', 'body']],
  ]
  for (const [what, changed, fields] of articles) {
    test(`an article with ${what} is refused, when it is made and when it is changed`, async () => {
      const whole = { title: 'T', description: 'D', body: 'B', ...changed }
      refusedField(await call('POST', '/articles', { token: ann.token, body: { article: whole } }), ...fields)
      const sent = JSON.parse(JSON.stringify(changed)) as object
      if (Object.keys(sent).length === 0) return
      refusedField(
        await call('PUT', `/articles/${article.slug}`, { token: ann.token, body: { article: sent } }),
        ...fields,
      )
    })
  }

  test('tags keep their order, are trimmed, and each stands once', async () => {
    const made = await publish(call, ann, { tagList: [' z ', 'a', 'z', '', 'Ä b', 'a'] })
    assert.deepEqual(made.tagList, ['z', 'a', 'Ä b'])
    assert.deepEqual((await publish(call, ann, { tagList: [] })).tagList, [])
    assert.deepEqual((await publish(call, ann)).tagList, [])
  })

  test('a new tag is in the list of tags at once, and gone with its last article', async () => {
    const tag = unique('tag')
    const { slug } = await publish(call, ann, { tagList: [tag] })
    assert.ok((await good(call('GET', '/tags'))).tags.includes(tag))
    const other = unique('tag')
    const changed = await good(
      call('PUT', `/articles/${slug}`, { token: ann.token, body: { article: { tagList: [other] } } }),
    )
    assert.deepEqual(changed.article.tagList, [other])
    const { tags } = await good(call('GET', '/tags'))
    assert.ok(tags.includes(other) && !tags.includes(tag))
    const emptied = await good(
      call('PUT', `/articles/${slug}`, { token: ann.token, body: { article: { tagList: [] } } }),
    )
    assert.deepEqual(emptied.article.tagList, [])
  })

  test('articles of one title get different slugs, also when they come at once', async () => {
    const title = unique('Same title ')
    const made = await Promise.all(Array.from({ length: 8 }, () => publish(call, ann, { title })))
    assert.equal(new Set(made.map(({ slug }) => slug)).size, 8)
    for (const { slug } of made) assert.equal((await good(call('GET', `/articles/${slug}`))).article.slug, slug)
  })

  test('a slug is in the script of its title, and never an address of something else', async () => {
    const made = await publish(call, ann, { title: unique('Привет, мир! 你好 ') })
    assert.match(made.slug, /^привет-мир-你好-[\da-f]+$/)
    const path = `/articles/${encodeURIComponent(made.slug)}`
    assert.equal((await good(call('GET', path))).article.title, made.title)
    assert.notEqual((await publish(call, ann, { title: 'Feed' })).slug, 'feed')
    assert.notEqual((await publish(call, ann, { title: '!!!' })).slug, '')
  })

  test('a change touches only what was sent; a new title gives a new slug', async () => {
    const made = await publish(call, ann, { tagList: ['kept'] })
    const change = async (slug: string, changed: object): Promise<any> =>
      (await good(call('PUT', `/articles/${slug}`, { token: ann.token, body: { article: changed } }))).article
    const described = await change(made.slug, { description: 'Another' })
    assert.equal(described.description, 'Another')
    assert.ok(described.updatedAt >= made.updatedAt)
    assert.deepEqual({ ...described, description: made.description, updatedAt: made.updatedAt }, made)
    assert.equal((await change(made.slug, { title: made.title })).slug, made.slug)
    const retitled = await change(made.slug, { title: unique('Quite another ') })
    assert.match(retitled.slug, /^quite-another-/)
    assert.deepEqual(retitled.tagList, ['kept'])
    assert.equal(retitled.createdAt, made.createdAt)
    refused(await call('GET', `/articles/${made.slug}`), 404, { article: ['not found'] })
    const other = await publish(call, ann)
    const sameTitle = await change(retitled.slug, { title: other.title })
    assert.notEqual(sameTitle.slug, other.slug)
    assert.equal((await change(sameTitle.slug, {})).title, other.title)
    refusedField(await call('PUT', `/articles/${sameTitle.slug}`, { token: ann.token, body: {} }), 'article')
  })

  test('only the author changes or deletes an article', async () => {
    const path = `/articles/${article.slug}`
    const forbidden = { article: ['forbidden'] }
    refused(await call('PUT', path, { token: bob.token, body: { article: { title: '' } } }), 403, forbidden)
    refused(await call('DELETE', path, { token: bob.token }), 403, forbidden)
    const made = await publish(call, ann, { tagList: ['gone'] })
    await good(call('POST', `/articles/${made.slug}/favorite`, { token: bob.token }))
    await good(
      call('POST', `/articles/${made.slug}/comments`, { token: bob.token, body: { comment: { body: 'x' } } }),
      201,
    )
    const deleted = await call('DELETE', `/articles/${made.slug}`, { token: ann.token })
    assert.equal(deleted.status, 204)
    assert.equal(deleted.text, '')
    refused(await call('GET', `/articles/${made.slug}`), 404, { article: ['not found'] })
    refused(await call('DELETE', `/articles/${made.slug}`, { token: ann.token }), 404, { article: ['not found'] })
  })

  test('an unknown article is not found, whatever is wanted of it', async () => {
    const calls: [string, string, Sending?][] = [
      ['GET', ''],
      ['PUT', '', { body: { article: { title: '' } } }],
      ['DELETE', ''],
      ['POST', '/favorite'],
      ['DELETE', '/favorite'],
      ['GET', '/comments'],
      ['POST', '/comments', { body: { comment: { body: '' } } }],
      ['DELETE', '/comments/1'],
    ]
    for (const slug of [unique('no-such'), '%00', 'x'.repeat(3000)]) {
      for (const [method, path, sending] of calls) {
        const answer = await call(method, `/articles/${slug}${path}`, { ...sending, token: ann.token })
        refused(answer, 404, { article: ['not found'] })
      }
    }
  })

  test('favourites count everybody, and each once', async () => {
    const { slug } = await publish(call, ann)
    const path = `/articles/${slug}/favorite`
    for (let time = 0; time < 2; time++) {
      const { article: liked } = await good(call('POST', path, { token: bob.token }))
      assert.deepEqual([liked.favorited, liked.favoritesCount], [true, 1])
    }
    assert.equal((await good(call('POST', path, { token: ann.token }))).article.favoritesCount, 2)
    const { article: anonymous } = await good(call('GET', `/articles/${slug}`))
    assert.deepEqual([anonymous.favorited, anonymous.favoritesCount], [false, 2])
    const list = await good(call('GET', `/articles?favorited=${bob.username}`, { token: bob.token }))
    assert.deepEqual(
      list.articles.map((entry: any) => [entry.slug, entry.favorited]),
      [[slug, true]],
    )
    for (let time = 0; time < 2; time++) {
      const { article: left } = await good(call('DELETE', path, { token: bob.token }))
      assert.deepEqual([left.favorited, left.favoritesCount], [false, 1])
    }
  })

  test('twenty who like at once are all counted', async () => {
    const { slug } = await publish(call, ann)
    const again = Array.from({ length: 10 }, () => [ann, bob]).flat()
    await Promise.all(again.map(({ token }) => good(call('POST', `/articles/${slug}/favorite`, { token }))))
    assert.equal((await good(call('GET', `/articles/${slug}`))).article.favoritesCount, 2)
  })
})

describe('lists', () => {
  let writer: Member
  let reader: Member
  let slugs: string[]
  const tag = unique('listed')

  before(async () => {
    writer = await register(call, 'writer')
    reader = await register(call, 'reader')
    slugs = []
    for (let n = 0; n < 5; n++) {
      const made = await publish(call, writer, { tagList: n % 2 === 0 ? [tag, 'x'] : ['x'] })
      slugs.unshift(made.slug)
    }
  })

  const slugsOf = (list: any): string[] => list.articles.map((entry: any) => entry.slug)

  test("an author's articles come newest first, without their texts, and are counted", async () => {
    const list = await good(call('GET', `/articles?author=${writer.username}`))
    assert.equal(list.articlesCount, 5)
    assert.deepEqual(slugsOf(list), slugs)
    const keys = 'author createdAt description favorited favoritesCount slug tagList title updatedAt'
    assert.equal(Object.keys(list.articles[0]).sort().join(' '), keys)
    assert.deepEqual(list.articles[0].author, { username: writer.username, bio: null, image: null, following: false })
  })

  test('pages of two put together are the list', async () => {
    const pages = await Promise.all(
      [0, 2, 4].map((offset) => good(call('GET', `/articles?author=${writer.username}&limit=2&offset=${offset}`))),
    )
    assert.deepEqual(pages.flatMap(slugsOf), slugs)
    assert.deepEqual(
      pages.map((page) => page.articlesCount),
      [5, 5, 5],
    )
    const beyond = await good(call('GET', `/articles?author=${writer.username}&offset=2000000000`))
    assert.deepEqual(beyond, { articles: [], articlesCount: 5 })
  })

  test('conditions are combined', async () => {
    assert.equal((await good(call('GET', `/articles?tag=${tag}`))).articlesCount, 3)
    assert.equal((await good(call('GET', `/articles?tag=${tag}&author=${writer.username}`))).articlesCount, 3)
    assert.equal((await good(call('GET', `/articles?tag=${tag}&author=${reader.username}`))).articlesCount, 0)
    await good(call('POST', `/articles/${slugs[1]}/favorite`, { token: reader.token }))
    const both = `/articles?author=${writer.username}&favorited=${reader.username}`
    assert.deepEqual(slugsOf(await good(call('GET', both))), [slugs[1]])
    assert.equal((await good(call('GET', `${both}&tag=${tag}`))).articlesCount, 0)
    for (const query of [`author=${unique('a')}`, `tag=${unique('t')}`, `favorited=${unique('f')}`]) {
      assert.deepEqual(await good(call('GET', `/articles?${query}`)), { articles: [], articlesCount: 0 })
    }
  })

  test('the feed has the articles of those one follows', async () => {
    const feed = (query = ''): Promise<any> => good(call('GET', `/articles/feed${query}`, { token: reader.token }))
    assert.deepEqual(await feed(), { articles: [], articlesCount: 0 })
    await good(call('POST', `/profiles/${writer.username}/follow`, { token: reader.token }))
    const list = await feed('?limit=2&offset=1')
    assert.equal(list.articlesCount, 5)
    assert.deepEqual(slugsOf(list), slugs.slice(1, 3))
    assert.equal(list.articles[0].author.following, true)
    assert.equal('body' in list.articles[0], false)
    await good(call('DELETE', `/profiles/${writer.username}/follow`, { token: reader.token }))
    assert.equal((await feed()).articlesCount, 0)
  })

  test('twenty are on a page unless more are asked for', async () => {
    const many = await register(call, 'many')
    for (let n = 0; n < 22; n++) await publish(call, many)
    const list = await good(call('GET', `/articles?author=${many.username}`))
    assert.equal(list.articles.length, 20)
    assert.equal(list.articlesCount, 22)
    assert.equal((await good(call('GET', `/articles?author=${many.username}&limit=100`))).articles.length, 22)
  })

  const bad = ['limit=0', 'limit=-1', 'limit=x', 'limit=', 'limit=1.5', 'limit=1e3', 'limit=99999999999999999999']
  const worse = ['offset=-1', 'offset=x', 'offset=', 'offset=99999999999', 'limit=1&limit=2', 'offset=%00', 'limit=+1']
  for (const query of [...bad, ...worse]) {
    test(`${query} is refused`, async () => {
      const field = query.split('=')[0] ?? ''
      refusedField(await call('GET', `/articles?${query}`), field)
      refusedField(await call('GET', `/articles/feed?${query}`, { token: reader.token }), field)
    })
  }
  for (const query of ['tag=%00', 'author=a%00', 'favorited=%00', 'tag=a&tag=b', 'author=']) {
    test(`${query} is refused`, async () => {
      refusedField(await call('GET', `/articles?${query}`), query.split('=')[0] ?? '')
    })
  }
})

describe('comments', () => {
  const comments = (): string => `/articles/${article.slug}/comments`
  const post = (token: string, body: unknown): Promise<Answer> => call('POST', comments(), { token, body })

  test('a comment is there for everybody until its author deletes it', async () => {
    const { comment } = await good(post(bob.token, { comment: { body: 'Well *said*' } }), 201)
    const { id, createdAt, updatedAt, ...rest } = comment
    assert.equal(Number.isInteger(id), true)
    assert.match(createdAt, timestamp)
    assert.match(updatedAt, timestamp)
    const author = { username: bob.username, bio: null, image: null, following: false }
    assert.deepEqual(rest, { body: 'Well *said*', author })
    assert.deepEqual((await good(call('GET', comments()))).comments, [comment])
    refused(await call('DELETE', `${comments()}/${id}`, { token: ann.token }), 403, { comment: ['forbidden'] })
    const other = await publish(call, ann)
    refused(await call('DELETE', `/articles/${other.slug}/comments/${id}`, { token: bob.token }), 404, {
      comment: ['not found'],
    })
    const deleted = await call('DELETE', `${comments()}/${id}`, { token: bob.token })
    assert.deepEqual([deleted.status, deleted.text], [204, ''])
    assert.deepEqual((await good(call('GET', comments()))).comments, [])
    refused(await call('DELETE', `${comments()}/${id}`, { token: bob.token }), 404, { comment: ['not found'] })
  })

  test('an id that no comment can have is not found', async () => {
    for (const id of ['abc', '0', '-1', '1.5', '99999999999999999999', '2147483648', '%00', '1%20']) {
      refused(await call('DELETE', `${comments()}/${id}`, { token: bob.token }), 404, { comment: ['not found'] })
    }
  })

  test('a comment without a text is refused', async () => {
    for (const comment of [{ body: '' }, { body: ' \n' }, {}, { body: null }]) {
      refused(await post(bob.token, { comment }), 422, { body: blank })
    }
    refused(await post(bob.token, {}), 422, { body: blank })
    refusedField(await post(bob.token, { comment: { body: 1 } }), 'body')
    refusedField(await post(bob.token, { comment: { body: 'a\0' } }), 'body')
    refusedField(await post(bob.token, { comment: 'x' }), 'comment')
  })
})

describe('requests that are not as they should be', () => {
  test('malformed JSON', async () => {
    for (const raw of ['{', '{"user":', "{'user':1}", '{"a":1}x', '\u0000']) {
      refused(await call('POST', '/users', { raw }), 400, { body: ['malformed'] })
      refused(await call('POST', '/articles', { raw, token: ann.token }), 400, { body: ['malformed'] })
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
    const { slug } = await publish(call, ann)
    const headers = { 'content-type': 'application/json' }
    await good(call('POST', `/articles/${slug}/favorite`, { token: bob.token, headers, raw: '' }))
    await good(call('DELETE', `/articles/${slug}/favorite`, { token: bob.token, headers }))
    await good(
      call('POST', `/profiles/${ann.username}/follow`, { token: bob.token, headers: { 'content-type': 'text/plain' } }),
    )
    refused(await call('POST', '/users', { headers }), 422)
  })

  test('a body that is too large', async () => {
    const body = { article: { title: 'T', description: 'D', body: 'x'.repeat(10 * 1024 * 1024) } }
    refused(await call('POST', '/articles', { token: ann.token, body }), 413)
    refused(await call('POST', '/users', { body: { user: { username: 'x'.repeat(3 * 1024 * 1024) } } }), 413)
    refused(await call('POST', '/articles', { body }), 401)
    refused(await call('POST', '/nope', { body }), 404)
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
      refused(await call(method, path, { token: ann.token }), 404, { route: ['not found'] })
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

/** The same token, without a signature. */
function unsigned(token: string): string {
  const header = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
  return `${header}.${token.split('.')[1]}.`
}
