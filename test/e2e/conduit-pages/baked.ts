/** Pages that are the same for everybody, and what is personal on them: fetched by the page, without moving anything. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'

import { publish, register, unique, type Member } from '../../support/conduit.ts'
import { waitFor } from '../../support/wait-for.ts'
import { count, signIn, text, visit, type Given, type Visit } from './visits.ts'

/** Adds up how much of the page moved by itself: Cumulative Layout Shift. */
const watchShifts = `
  globalThis.moved = 0
  new PerformanceObserver((list) => list.getEntries().forEach((entry) => { globalThis.moved += entry.value }))
    .observe({ type: 'layout-shift', buffered: true })`

interface Watched extends Visit {
  /** The addresses of the fragments that the page asked for since it was opened. */
  readonly fragments: string[]
  /** Opens a page, and waits until its personal parts are there. */
  readonly open: (path: string) => Promise<string>
}

export function bakedTests(given: Given): void {
  const watch = async (t: Parameters<typeof visit>[0]): Promise<Watched> => {
    const visitor = await visit(t, given)
    const { page } = visitor
    const fragments: string[] = []
    await page.addInitScript(watchShifts)
    page.on('request', (request) => {
      const { pathname } = new URL(request.url())
      if (pathname.startsWith('/fragments/')) fragments.push(pathname)
    })
    const open = async (path: string): Promise<string> => {
      fragments.length = 0
      const answer = await page.goto(path)
      await waitFor(
        'the personal parts',
        async () => (await count(page, '[data-fourfold-reader] [data-fourfold]')) === 0,
      )
      // Two frames: what was to move has moved.
      await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')
      return answer?.headers()['cache-control'] ?? ''
    }
    return { ...visitor, fragments, open }
  }
  const moved = ({ page }: Visit): Promise<unknown> => page.evaluate('globalThis.moved')
  const writeArticle = async (author: Member): Promise<string> => {
    const { slug } = await publish(given.call, author, { tagList: ['baked'] })
    const body = { comment: { body: 'By the author' } }
    await given.call('POST', `/articles/${slug}/comments`, { token: author.token, body })
    return slug
  }

  describe('baked pages', { concurrency: 3 }, () => {
    test('whoever is not known gets what everybody gets, and asks for nothing personal', async (t) => {
      const visitor = await watch(t)
      const author = await register(given.call)
      const slug = await writeArticle(author)
      await given.caughtUp()
      for (const path of ['/', '/tag/baked', `/article/${slug}`, `/profile/${author.username}`]) {
        assert.equal(await visitor.open(path), 'public, no-cache', path)
        assert.equal(await count(visitor.page, 'nav.navbar >> text=Sign in'), 1)
        assert.ok(await visitor.page.isVisible('nav.navbar >> text=Sign in'))
        assert.deepEqual([visitor.fragments, await moved(visitor)], [[], 0], path)
        const answer = await fetch(given.url + path)
        await answer.body?.cancel()
        assert.match(answer.headers.get('cache-status') ?? '', /^fourfold/)
        assert.match(answer.headers.get('vary') ?? '', /cookie/)
        assert.equal(answer.headers.get('set-cookie'), null)
      }
      assert.equal(await count(visitor.page, 'text=Your Feed'), 0)
    })

    for (const width of [1100, 390]) {
      test(`whoever is signed in gets the same page with their own parts, and nothing moves: ${width} wide`, async (t) => {
        const visitor = await watch(t)
        const { page, fragments, open } = visitor
        await page.setViewportSize({ width, height: 900 })
        const [author, member] = await Promise.all([register(given.call), register(given.call, 'reader')])
        const slug = await writeArticle(author)
        const { token } = member
        await given.call('POST', `/articles/${slug}/favorite`, { token })
        await given.call('POST', `/articles/${slug}/comments`, { token, body: { comment: { body: 'Mine' } } })
        await given.caughtUp()
        await signIn(visitor, member)
        const at = async (path: string, fragment: string): Promise<void> => {
          assert.equal(await open(path), 'public, no-cache', path)
          assert.deepEqual(fragments, [fragment])
          assert.ok(await page.isVisible(`nav.navbar >> text=${member.username}`))
          assert.equal(await moved(visitor), 0, path)
        }
        await at('/', '/fragments/home')
        assert.deepEqual(await page.locator('.feed-toggle .nav-link').allInnerTexts(), ['Your Feed', 'Global Feed'])
        assert.equal(await page.isVisible('.banner'), false)
        const heart = page
          .locator('.article-preview', { has: page.locator(`[href="/article/${slug}"]`) })
          .locator('button')
        assert.match((await heart.getAttribute('class')) ?? '', /btn-primary/)
        await at('/tag/baked', '/fragments/home')
        assert.equal(await count(page, '.feed-toggle .nav-link'), 3)
        await at(`/article/${slug}`, `/fragments/article/${slug}`)
        assert.match(await text(page, '.actions button.btn-primary'), /Unfavorite Article \(1\)/)
        assert.equal(await count(page, '.comment-form'), 1)
        assert.equal(await count(page, '.mod-options'), 1)
        await at(`/profile/${author.username}`, `/fragments/profile/${author.username}`)
        assert.equal(await text(page, '.user-info button'), 'Follow')
        await at(`/profile/${member.username}`, `/fragments/profile/${member.username}`)
        assert.equal(await text(page, '.user-info .btn'), 'Edit Profile Settings')
      })
    }

    test('the page has loaded when its personal parts are there, however late', async (t) => {
      const visitor = await watch(t)
      const member = await register(given.call)
      await signIn(visitor, member)
      await visitor.page.route('**/fragments/**', async (route) => {
        await setTimeout(500)
        await route.continue()
      })
      await visitor.page.goto('/')
      assert.equal(await count(visitor.page, '[data-fourfold], iframe'), 0)
      assert.ok((await text(visitor.page, 'nav.navbar')).includes(member.username))
    })

    test('an author sees their edit at once, another reader on the next load', async (t) => {
      const [writer, other] = await Promise.all([watch(t), watch(t)])
      const author = await register(given.call)
      const slug = await writeArticle(author)
      await given.caughtUp()
      await other.open(`/article/${slug}`)
      await signIn(writer, author)
      for (const round of [1, 2, 3]) {
        await writer.page.goto(`/editor/${slug}`)
        await writer.page.fill('[name=body]', `Edited ${round}`)
        await writer.page.click('button[type=submit]')
        assert.equal(writer.at(), `/article/${slug}`)
        assert.equal(await text(writer.page, '.article-content'), `Edited ${round}`)
        await given.caughtUp()
        await waitFor('the edit to reach others', async () => {
          await other.open(`/article/${slug}`)
          return (await text(other.page, '.article-content')) === `Edited ${round}`
        })
      }
      await writer.page.click('button >> text=Delete Article')
      assert.equal((await writer.page.goto(`/article/${slug}`))?.status(), 404)
    })

    test('without JavaScript whoever is signed in gets the whole page from the app', async (t) => {
      const visitor = await visit(t, given, { javaScriptEnabled: false })
      const member = await register(given.call)
      const slug = await writeArticle(member)
      await signIn(visitor, member)
      for (const path of ['/', `/article/${slug}`, `/profile/${member.username}`]) {
        const answer = await visitor.page.goto(path)
        assert.equal(answer?.headers()['cache-control'], 'private, no-cache')
        assert.ok((await text(visitor.page, 'nav.navbar')).includes(member.username), path)
        assert.equal(await count(visitor.page, '[data-fourfold]'), 0)
      }
    })

    test('a fragment that fails leaves what everybody sees', async (t) => {
      const visitor = await watch(t)
      await signIn(visitor, await register(given.call))
      for (const answer of [{ status: 500 }, { status: 200, contentType: 'text/plain', body: 'no' }]) {
        await visitor.page.route('**/fragments/**', (route) => route.fulfill(answer))
        await visitor.open('/')
        assert.ok(await visitor.page.isVisible('nav.navbar >> text=Sign in'))
        await visitor.page.unrouteAll()
      }
    })

    test('whoever is not signed in any more is told once, and asks no more', async (t) => {
      const visitor = await watch(t)
      await signIn(visitor, await register(given.call))
      await visitor.open('/')
      await visitor.context.clearCookies({ name: 'ff_session' })
      for (const fragments of [['/fragments/home'], []]) {
        await visitor.open('/')
        assert.deepEqual(visitor.fragments, fragments)
        assert.ok(await visitor.page.isVisible('nav.navbar >> text=Sign in'))
        assert.ok(await visitor.page.isVisible('.banner'))
      }
    })

    test('the feed and the sitemap are XML that names the articles', async (t) => {
      const { page } = await visit(t, given)
      const title = unique('Less < than & "more" \u0007')
      const { slug } = await publish(given.call, await register(given.call), { title, tagList: ['<x>'] })
      await page.goto('/')
      const read = (path: string, name: string): Promise<unknown> =>
        page.evaluate(`(async () => {
          const answer = await fetch(${JSON.stringify(path)}, { cache: 'reload' })
          const read = new DOMParser().parseFromString(await answer.text(), 'application/xml')
          return [answer.status, read.querySelectorAll('parsererror').length, read.documentElement.localName,
            [...read.querySelectorAll(${JSON.stringify(name)})].map((element) => element.textContent)]
        })()`)
      await waitFor('the article in both', async () => {
        const [status, errors, root, titles] = (await read('/feed.xml', 'item > title')) as [
          number,
          number,
          string,
          string[],
        ]
        assert.deepEqual([status, errors, root], [200, 0, 'rss'])
        const sitemap = (await read('/sitemap.xml', 'loc')) as [number, number, string, string[]]
        assert.deepEqual(sitemap.slice(0, 3), [200, 0, 'urlset'])
        return (
          titles.includes(title.replace('\u0007', '')) && sitemap[3].some((loc) => loc.endsWith(`/article/${slug}`))
        )
      })
    })
  })
}
