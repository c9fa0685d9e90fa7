/** Writing and reading: the editor, Markdown, favourites, follows, comments. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { publish, register, unique } from '../../support/conduit.ts'
import { count, signIn, text, visit, type Given } from './visits.ts'

export function articleTests(given: Given): void {
  describe('articles', { concurrency: 3 }, () => {
    test('writing, changing and deleting an article, with tags as pills', async (t) => {
      const visitor = await visit(t, given)
      const { page, at } = visitor
      const member = await register(given.call)
      await signIn(visitor, member)
      const title = unique('A page of my own ')
      await page.click('nav.navbar >> text=New Article')
      assert.equal(at(), '/editor')
      await page.fill('[name=title]', title)
      await page.fill('[name=description]', 'On pages')
      await page.fill('textarea[name=body]', '# Heading\n\nSome *text*\n\n- one\n- two')
      for (const tag of ['first', 'second', 'third']) {
        await page.fill('input[placeholder="Enter tags"]', tag)
        await page.press('input[placeholder="Enter tags"]', 'Enter')
      }
      assert.equal(await count(page, '.tag-list .tag-pill'), 3)
      await page.click('.tag-list .tag-pill:has-text("second") i')
      assert.equal(await count(page, '.tag-list .tag-pill'), 2)
      await page.click('button >> text=Publish Article')
      const [, slug = ''] = /^\/article\/(.+)$/.exec(at()) ?? []
      assert.match(slug, /^a-page-of-my-own-/)
      assert.equal(await text(page, '.article-page h1'), title)
      assert.equal(await text(page, '.article-content h1'), 'Heading')
      assert.equal(await text(page, '.article-content em'), 'text')
      assert.deepEqual(await page.locator('.article-page .tag-list .tag-pill').allInnerTexts(), ['first', 'third'])
      await page.click('text=Edit Article')
      assert.equal(at(), `/editor/${slug}`)
      assert.equal(await page.inputValue('[name=title]'), title)
      assert.equal(await page.inputValue('[name=body]'), '# Heading\n\nSome *text*\n\n- one\n- two')
      assert.equal(await count(page, '.tag-list .tag-pill'), 2)
      await page.click('.tag-list .tag-pill:has-text("first") i')
      await page.fill('[name=title]', `${title} again`)
      await page.click('button[type=submit]')
      assert.equal(at(), `/article/${slug}-again`)
      assert.deepEqual(await page.locator('.article-page .tag-list .tag-pill').allInnerTexts(), ['third'])
      await page.click('button >> text=Delete Article')
      assert.equal(at(), '/')
      const gone = await page.goto(`/article/${slug}-again`)
      assert.equal(gone?.status(), 404)
    })

    test('a rejected article keeps what was typed, its tags too', async (t) => {
      const visitor = await visit(t, given)
      const { page, at } = visitor
      await signIn(visitor, await register(given.call))
      await page.goto('/editor')
      await page.fill('textarea[name=body]', '\n  two lines\n</textarea><script>alert(1)</script>')
      await page.fill('[name=tags]', 'kept')
      await page.press('[name=tags]', 'Enter')
      await page.click('button[type=submit]')
      assert.equal(at(), '/editor')
      assert.deepEqual(await page.locator('ul.error-messages li').allInnerTexts(), [
        "title can't be blank",
        "description can't be blank",
      ])
      assert.equal(await page.inputValue('[name=body]'), '\n  two lines\n</textarea><script>alert(1)</script>')
      assert.equal(await text(page, '.tag-list .tag-pill'), 'kept')
    })

    test('nobody changes what is not theirs', async (t) => {
      const visitor = await visit(t, given)
      const { page, context } = visitor
      const { slug } = await publish(given.call, await register(given.call))
      await signIn(visitor, await register(given.call))
      await page.goto(`/article/${slug}`)
      assert.equal(await count(page, 'text=Edit Article'), 0)
      assert.equal(await count(page, 'text=Delete Article'), 0)
      assert.equal((await page.goto(`/editor/${slug}`))?.status(), 403)
      const answer = await context.request.post(`/article/${slug}/delete`, { maxRedirects: 0 })
      assert.equal(answer.status(), 403)
    })

    test('no script of a user ever runs', async (t) => {
      const visitor = await visit(t, given)
      const { page } = visitor
      let ran = false
      await page.exposeFunction('ran', () => (ran = true))
      page.on('dialog', (dialog) => {
        ran = true
        void dialog.dismiss()
      })
      const hostile = [
        '<script>ran()</script>',
        '<img src=x onerror="ran()">',
        '[click](javascript:ran())',
        '<a href="javascript:ran()">a</a>',
        '<svg onload="ran()"></svg>',
        '<iframe src="javascript:parent.ran()"></iframe>',
        '<form action="/logout" method="post"><button>x</button></form>',
        '<style>body{display:none}</style>',
        '"><script>ran()</script>',
        '![x](https://example.invalid/x"onerror="ran())',
        '```"><script>ran()</script>\ncode\n```',
      ].join('\n\n')
      const author = await register(given.call, '<script>ran()</script>')
      const image = '"><script>ran()</script>'
      await given.call('PUT', '/user', { token: author.token, body: { user: { bio: hostile, image } } })
      const made = await publish(given.call, author, {
        title: hostile.slice(0, 200),
        description: hostile,
        body: hostile,
        tagList: ['<b>', '"><script>ran()</script>'],
      })
      const slug = encodeURIComponent(made.slug)
      await given.call('POST', `/articles/${slug}/comments`, {
        token: author.token,
        body: { comment: { body: hostile } },
      })
      await given.caughtUp()
      const pages = [
        `/article/${slug}`,
        '/',
        `/profile/${encodeURIComponent(author.username)}`,
        `/tag/${encodeURIComponent('"><script>ran()</script>')}`,
      ]
      for (const path of pages) {
        const answer = await page.goto(path)
        assert.equal(answer?.status(), 200)
        assert.match(answer?.headers()['content-security-policy'] ?? '', /script-src 'self'/)
        assert.equal(
          await count(page, 'main script, main iframe, main style, main svg, main [onerror], main [onload]'),
          0,
        )
        assert.equal(await count(page, 'main a[href^="javascript" i]'), 0)
      }
      await page.goto(`/article/${slug}`)
      assert.equal(await count(page, '.article-content form, .card-text form'), 0)
      assert.equal(ran, false)
    })

    test('favourites and follows, from an article and from a list', async (t) => {
      const visitor = await visit(t, given)
      const { page, at } = visitor
      const author = await register(given.call, 'author')
      const { slug } = await publish(given.call, author)
      const member = await register(given.call)
      await given.caughtUp()
      await signIn(visitor, member)
      await page.goto(`/article/${slug}`)
      assert.match(await text(page, 'button.btn-outline-primary'), /Favorite Article \(0\)/)
      await page.click('button.btn-outline-primary')
      assert.equal(at(), `/article/${slug}`)
      assert.match(await text(page, 'button.btn-primary'), /Unfavorite Article \(1\)/)
      await page.click('.article-page button:has-text("Follow")')
      assert.equal(at(), `/article/${slug}`)
      assert.equal(await count(page, 'button:has-text("Unfollow")'), 1)
      await page.goto('/?feed=following')
      assert.equal(await count(page, '.article-preview'), 1)
      assert.equal(await text(page, '.feed-toggle .active'), 'Your Feed')
      assert.equal(await text(page, '.article-preview .author'), author.username)
      assert.equal(await text(page, '.article-preview button .counter'), '1')
      await page.click('.article-preview button.btn-primary')
      assert.equal(at(), '/?feed=following')
      assert.equal(await text(page, '.article-preview button.btn-outline-primary .counter'), '0')
      await page.click('.article-preview button.btn-outline-primary')
      await page.goto(`/profile/${member.username}/favorites`)
      assert.match(await text(page, '.feed-toggle .active'), /^Favorited /)
      assert.equal(await count(page, '.article-preview'), 1)
      await page.click('.article-preview .author')
      assert.equal(at(), `/profile/${author.username}`)
      await page.click('.user-info button:has-text("Unfollow")')
      assert.equal(at(), `/profile/${author.username}`)
      await page.goto('/?feed=following')
      assert.match(await text(page, '.empty-feed-message'), /^No articles are here\.\.\. yet\./)
      assert.equal(await page.locator('.empty-feed-message a').getAttribute('href'), '/')
    })

    test('comments are written, shown as Markdown, and deleted by their authors', async (t) => {
      const visitor = await visit(t, given)
      const { page, at } = visitor
      const author = await register(given.call)
      const { slug } = await publish(given.call, author)
      await given.call('POST', `/articles/${slug}/comments`, {
        token: author.token,
        body: { comment: { body: 'By the author' } },
      })
      const member = await register(given.call)
      await given.caughtUp()
      await page.goto(`/article/${slug}`)
      assert.equal(await count(page, '.comment-form'), 0)
      await signIn(visitor, member)
      await page.goto(`/article/${slug}`)
      await page.click('.comment-form button[type=submit]')
      assert.equal(at(), `/article/${slug}`)
      assert.match(await text(page, 'ul.error-messages'), /can't be blank/)
      await page.fill('textarea[placeholder="Write a comment..."]', 'Well **said**')
      await page.click('button >> text=Post Comment')
      assert.equal(at(), `/article/${slug}`)
      assert.equal(await count(page, '.card:not(.comment-form)'), 2)
      assert.equal(await text(page, '.card:not(.comment-form) strong'), 'said')
      assert.equal(await count(page, '.mod-options'), 1)
      await page.click('.mod-options .ion-trash-a')
      assert.equal(at(), `/article/${slug}`)
      assert.equal(await count(page, '.card:not(.comment-form)'), 1)
      assert.equal(await count(page, '.mod-options'), 0)
    })
  })
}
