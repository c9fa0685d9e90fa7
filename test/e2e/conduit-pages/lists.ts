/** Lists and their pages. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { publish, register, unique } from '../../support/conduit.ts'
import { count, signIn, text, visit, type Given } from './visits.ts'

export function listTests(given: Given): void {
  describe('lists', { concurrency: 3 }, () => {
    test('ten on a page, and links that keep the other parameters', async (t) => {
      const { page, at } = await visit(t, given)
      const author = await register(given.call)
      const tag = unique('tag')
      for (let n = 0; n < 23; n++) await publish(given.call, author, { tagList: [tag] })
      await given.caughtUp()
      await page.goto(`/tag/${tag}`)
      assert.equal(await count(page, '.article-preview'), 10)
      assert.equal(await count(page, '.pagination .page-item'), 3)
      assert.match(await text(page, '.feed-toggle .active'), new RegExp(tag))
      assert.ok((await page.locator('.sidebar .tag-list .tag-pill').allInnerTexts()).includes(tag))
      await page.click('.page-link >> text=3')
      assert.equal(at(), `/tag/${tag}?page=3`)
      assert.equal(await count(page, '.article-preview'), 3)
      assert.equal(await text(page, '.page-item.active .page-link'), '3')
      await page.goto(`/profile/${author.username}?page=2`)
      assert.equal(await count(page, '.article-preview'), 10)
      assert.equal(await count(page, '.page-item'), 3)
      const reader = await visit(t, given)
      const member = await register(given.call)
      await given.call('POST', `/profiles/${author.username}/follow`, { token: member.token })
      await signIn(reader, member)
      await reader.page.click('text=Your Feed')
      await reader.page.click('.page-link >> text=2')
      assert.equal(reader.at(), '/?feed=following&page=2')
      assert.equal(await count(reader.page, '.article-preview'), 10)
      await reader.page.click('.article-preview >> nth=0 >> .preview-link')
      assert.match(reader.at(), /^\/article\//)
    })

    test('a new tag stands in the sidebar at once, however many are used more', async (t) => {
      const { page } = await visit(t, given)
      const author = await register(given.call)
      const tags = Array.from({ length: 40 }, () => unique('often'))
      for (let n = 0; n < 2; n++) await publish(given.call, author, { tagList: tags })
      const tag = unique('new')
      await publish(given.call, author, { tagList: [tag] })
      await given.caughtUp()
      await page.goto('/')
      const shown = await page.locator('.sidebar .tag-list .tag-pill').allInnerTexts()
      assert.ok(shown.includes(tag))
      assert.ok(shown.length <= 30)
    })

    test('the first page has its parts, and nothing comes from elsewhere', async (t) => {
      const { page } = await visit(t, given)
      await publish(given.call, await register(given.call))
      await given.caughtUp()
      const elsewhere: string[] = []
      page.on('request', (request) => {
        if (!request.url().startsWith(given.url) && !request.url().startsWith('data:')) elsewhere.push(request.url())
      })
      await page.goto('/')
      for (const part of [
        'nav.navbar .navbar-brand',
        '.banner',
        '.feed-toggle',
        '.sidebar',
        '.article-preview .article-meta',
      ]) {
        assert.ok((await count(page, part)) > 0, part)
      }
      assert.equal(await text(page, '.feed-toggle .active'), 'Global Feed')
      assert.equal(await count(page, 'text=Your Feed'), 0)
      assert.deepEqual(elsewhere, [])
    })
  })
}
