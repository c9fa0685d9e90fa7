/** Articles, their tags and favourites. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { type Call, type Sending, publish, unique } from '../../support/conduit.ts'
import { good, refused, refusedField, timestamp, type Given } from './answers.ts'

export function articleTests(given: Given): void {
  const call: Call = (...sent) => given.call(...sent)

  describe('articles', () => {
    test('an article has every field, also for those who did not write it', async () => {
      const sent = {
        title: unique('How to train '),
        description: 'Ever wonder?',
        body: '# Yes',
        tagList: ['b', 'a', 'c'],
      }
      const made = await publish(call, given.ann, sent)
      const { slug, createdAt, updatedAt, ...rest } = made
      assert.match(createdAt, timestamp)
      assert.match(updatedAt, timestamp)
      assert.match(slug, /^how-to-train-[\da-f]+$/)
      const author = { username: given.ann.username, bio: null, image: null, following: false }
      assert.deepEqual(rest, { ...sent, favorited: false, favoritesCount: 0, author })
      assert.deepEqual((await good(call('GET', `/articles/${slug}`))).article, made)
      assert.deepEqual((await good(call('GET', `/articles/${slug}`, { token: given.bob.token }))).article, made)
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
      [
        'nothing in it',
        { title: undefined, description: undefined, body: undefined },
        ['title', 'description', 'body'],
      ],
    ]
    for (const [what, changed, fields] of articles) {
      test(`an article with ${what} is refused, when it is made and when it is changed`, async () => {
        const whole = { title: 'T', description: 'D', body: 'B', ...changed }
        refusedField(await call('POST', '/articles', { token: given.ann.token, body: { article: whole } }), ...fields)
        const sent = JSON.parse(JSON.stringify(changed)) as object
        if (Object.keys(sent).length === 0) return
        refusedField(
          await call('PUT', `/articles/${given.article.slug}`, { token: given.ann.token, body: { article: sent } }),
          ...fields,
        )
      })
    }

    test('tags keep their order, are trimmed, and each stands once', async () => {
      const made = await publish(call, given.ann, { tagList: [' z ', 'a', 'z', '', 'Ä b', 'a'] })
      assert.deepEqual(made.tagList, ['z', 'a', 'Ä b'])
      assert.deepEqual((await publish(call, given.ann, { tagList: [] })).tagList, [])
      assert.deepEqual((await publish(call, given.ann)).tagList, [])
    })

    test('a new tag is in the list of tags at once, and gone with its last article', async () => {
      const tag = unique('tag')
      const { slug } = await publish(call, given.ann, { tagList: [tag] })
      assert.ok((await good(call('GET', '/tags'))).tags.includes(tag))
      const other = unique('tag')
      const changed = await good(
        call('PUT', `/articles/${slug}`, { token: given.ann.token, body: { article: { tagList: [other] } } }),
      )
      assert.deepEqual(changed.article.tagList, [other])
      const { tags } = await good(call('GET', '/tags'))
      assert.ok(tags.includes(other) && !tags.includes(tag))
      const emptied = await good(
        call('PUT', `/articles/${slug}`, { token: given.ann.token, body: { article: { tagList: [] } } }),
      )
      assert.deepEqual(emptied.article.tagList, [])
    })

    test('articles of one title get different slugs, also when they come at once', async () => {
      const title = unique('Same title ')
      const made = await Promise.all(Array.from({ length: 8 }, () => publish(call, given.ann, { title })))
      assert.equal(new Set(made.map(({ slug }) => slug)).size, 8)
      for (const { slug } of made) assert.equal((await good(call('GET', `/articles/${slug}`))).article.slug, slug)
    })

    test('a slug is in the script of its title, and never an address of something else', async () => {
      const made = await publish(call, given.ann, { title: unique('Привет, мир! 你好 ') })
      assert.match(made.slug, /^привет-мир-你好-[\da-f]+$/)
      const path = `/articles/${encodeURIComponent(made.slug)}`
      assert.equal((await good(call('GET', path))).article.title, made.title)
      assert.notEqual((await publish(call, given.ann, { title: 'Feed' })).slug, 'feed')
      assert.notEqual((await publish(call, given.ann, { title: '!!!' })).slug, '')
    })

    test('a change touches only what was sent; a new title gives a new slug', async () => {
      const made = await publish(call, given.ann, { tagList: ['kept'] })
      const change = async (slug: string, changed: object): Promise<any> =>
        (await good(call('PUT', `/articles/${slug}`, { token: given.ann.token, body: { article: changed } }))).article
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
      const other = await publish(call, given.ann)
      const sameTitle = await change(retitled.slug, { title: other.title })
      assert.notEqual(sameTitle.slug, other.slug)
      assert.equal((await change(sameTitle.slug, {})).title, other.title)
      refusedField(await call('PUT', `/articles/${sameTitle.slug}`, { token: given.ann.token, body: {} }), 'article')
    })

    test('a change of the text at the moment of a new title leaves the new slug alone', async () => {
      for (let time = 0; time < 20; time++) {
        const { slug } = await publish(call, given.ann)
        const change = (article: object): Promise<any> =>
          good(call('PUT', `/articles/${slug}`, { token: given.ann.token, body: { article } }))
        const other = call('PUT', `/articles/${slug}`, { token: given.ann.token, body: { article: { body: 'New' } } })
        const renamed = await change({ title: unique('Renamed ') })
        // Whichever comes second finds the article, or its old address gone.
        assert.ok([200, 404].includes((await other).status))
        await good(call('GET', `/articles/${renamed.article.slug}`))
      }
    })

    test('only the author changes or deletes an article', async () => {
      const path = `/articles/${given.article.slug}`
      const forbidden = { article: ['forbidden'] }
      refused(await call('PUT', path, { token: given.bob.token, body: { article: { title: '' } } }), 403, forbidden)
      refused(await call('DELETE', path, { token: given.bob.token }), 403, forbidden)
      const made = await publish(call, given.ann, { tagList: ['gone'] })
      await good(call('POST', `/articles/${made.slug}/favorite`, { token: given.bob.token }))
      await good(
        call('POST', `/articles/${made.slug}/comments`, { token: given.bob.token, body: { comment: { body: 'x' } } }),
        201,
      )
      const deleted = await call('DELETE', `/articles/${made.slug}`, { token: given.ann.token })
      assert.equal(deleted.status, 204)
      assert.equal(deleted.text, '')
      refused(await call('GET', `/articles/${made.slug}`), 404, { article: ['not found'] })
      refused(await call('DELETE', `/articles/${made.slug}`, { token: given.ann.token }), 404, {
        article: ['not found'],
      })
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
          const answer = await call(method, `/articles/${slug}${path}`, { ...sending, token: given.ann.token })
          refused(answer, 404, { article: ['not found'] })
        }
      }
    })

    test('favourites count everybody, and each once', async () => {
      const { slug } = await publish(call, given.ann)
      const path = `/articles/${slug}/favorite`
      for (let time = 0; time < 2; time++) {
        const { article: liked } = await good(call('POST', path, { token: given.bob.token }))
        assert.deepEqual([liked.favorited, liked.favoritesCount], [true, 1])
      }
      assert.equal((await good(call('POST', path, { token: given.ann.token }))).article.favoritesCount, 2)
      const { article: anonymous } = await good(call('GET', `/articles/${slug}`))
      assert.deepEqual([anonymous.favorited, anonymous.favoritesCount], [false, 2])
      const list = await good(call('GET', `/articles?favorited=${given.bob.username}`, { token: given.bob.token }))
      assert.deepEqual(
        list.articles.map((entry: any) => [entry.slug, entry.favorited]),
        [[slug, true]],
      )
      for (let time = 0; time < 2; time++) {
        const { article: left } = await good(call('DELETE', path, { token: given.bob.token }))
        assert.deepEqual([left.favorited, left.favoritesCount], [false, 1])
      }
    })

    test('twenty who like at once are all counted', async () => {
      const { slug } = await publish(call, given.ann)
      const again = Array.from({ length: 10 }, () => [given.ann, given.bob]).flat()
      await Promise.all(again.map(({ token }) => good(call('POST', `/articles/${slug}/favorite`, { token }))))
      assert.equal((await good(call('GET', `/articles/${slug}`))).article.favoritesCount, 2)
    })
  })
}
