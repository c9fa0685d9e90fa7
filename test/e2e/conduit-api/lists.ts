/** Lists: order, paging, conditions, the feed. */

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'

import { type Call, type Member, publish, register, unique } from '../../support/conduit.ts'
import { good, refusedField, type Given } from './answers.ts'

export function listTests(given: Given): void {
  const call: Call = (...sent) => given.call(...sent)

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
    const worse = [
      'offset=-1',
      'offset=x',
      'offset=',
      'offset=99999999999',
      'limit=1&limit=2',
      'offset=%00',
      'limit=+1',
    ]
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
}
