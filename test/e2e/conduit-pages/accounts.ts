/** Accounts, with JavaScript and without. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { publish, register, unique } from '../../support/conduit.ts'
import { count, signIn, text, visit, type Given } from './visits.ts'

export function accountTests(given: Given): void {
  describe('accounts', { concurrency: 3 }, () => {
    for (const javaScriptEnabled of [true, false]) {
      const how = javaScriptEnabled ? 'with' : 'without'
      test(`registering, logging out and in again, ${how} JavaScript`, async (t) => {
        const visitor = await visit(t, given, { javaScriptEnabled })
        const { page, at } = visitor
        const username = unique('page')
        const member = { username, email: `${username}@example.com`, password: 'correct horse', token: '' }
        await page.goto('/')
        await page.click('nav.navbar >> text=Sign up')
        assert.equal(await text(page, 'h1'), 'Sign up')
        await page.fill('[name=username]', username)
        await page.fill('[name=email]', member.email)
        await page.fill('[name=password]', member.password)
        await page.click('button[type=submit]')
        assert.equal(at(), '/')
        assert.ok((await text(page, 'nav.navbar')).includes(username))
        assert.ok((await page.getAttribute('img.user-pic', 'src'))?.includes('default-avatar.svg'))
        await page.click('nav.navbar >> text=Settings')
        await page.click('button.btn-outline-danger >> text=Or click here to logout')
        assert.equal(at(), '/')
        assert.equal(await count(page, 'nav.navbar >> text=Sign in'), 1)
        await signIn(visitor, member)
        assert.ok((await text(page, 'nav.navbar')).includes(username))
      })
    }

    test('a rejected registration stays where it is and keeps what was typed', async (t) => {
      const { page, at } = await visit(t, given)
      const taken = await register(given.call, 'taken')
      await page.goto('/register')
      await page.fill('[name=username]', taken.username)
      await page.fill('[name=email]', 'x@example.com')
      await page.fill('[name=password]', 'correct horse')
      await page.click('button[type=submit]')
      assert.equal(at(), '/register')
      assert.equal(await text(page, 'ul.error-messages'), 'username has already been taken')
      assert.equal(await page.inputValue('[name=username]'), taken.username)
      assert.equal(await page.inputValue('[name=email]'), 'x@example.com')
      await page.fill('[name=password]', 'short')
      await page.click('button[type=submit]')
      assert.match(await text(page, 'ul.error-messages'), /password is too short/)
    })

    test('a wrong password stays at the login', async (t) => {
      const { page, at } = await visit(t, given)
      const member = await register(given.call)
      await page.goto('/login')
      assert.equal(await text(page, 'h1'), 'Sign in')
      await page.fill('[name=email]', member.email)
      await page.fill('[name=password]', 'wrong password')
      await page.click('button[type=submit]')
      assert.equal(at(), '/login')
      assert.equal(await count(page, 'ul.error-messages li'), 1)
      assert.equal(await page.inputValue('[name=email]'), member.email)
    })

    test('the id of a session changes at login', async (t) => {
      const visitor = await visit(t, given)
      const session = async (): Promise<string | undefined> =>
        (await visitor.context.cookies()).find((cookie) => cookie.name.endsWith('ff_session'))?.value
      const member = await register(given.call)
      await signIn(visitor, member)
      const first = await session()
      assert.ok(first)
      await signIn(visitor, member)
      assert.notEqual(await session(), first)
      const stale = await given.browser.newContext({ baseURL: given.url })
      t.after(() => stale.close())
      await stale.addCookies([{ name: 'ff_session', value: first, url: given.url }])
      assert.equal((await stale.request.get('/settings', { maxRedirects: 0 })).status(), 303)
    })

    test('settings are saved and lead to the profile; an empty password keeps the old one', async (t) => {
      const visitor = await visit(t, given)
      const { page, at } = visitor
      const member = await register(given.call)
      await signIn(visitor, member)
      await page.goto('/settings')
      const renamed = unique('renamed')
      await page.fill('[name=username]', renamed)
      await page.fill('[name=bio]', 'First line\n<b>second</b>')
      await page.fill('[name=image]', 'https://example.invalid/me.png')
      await page.click('button >> text=Update Settings')
      assert.equal(at(), `/profile/${renamed}`)
      assert.equal(await text(page, '.user-info h4'), renamed)
      assert.match(await text(page, '.user-info p'), /First line\s+<b>second<\/b>/)
      assert.equal(await page.getAttribute('img.user-img', 'src'), 'https://example.invalid/me.png')
      await page.goto('/settings')
      await page.fill('[name=email]', '')
      await page.fill('[name=bio]', '')
      await page.click('button >> text=Update Settings')
      assert.equal(at(), '/settings')
      assert.match(await text(page, 'ul.error-messages'), /email can't be blank/)
      const login = { body: { user: { email: member.email, password: member.password } } }
      assert.equal((await given.call('POST', '/users/login', login)).status, 200)
    })

    test('protected pages and actions send an anonymous visitor to the login', async (t) => {
      const { page, at } = await visit(t, given)
      const author = await register(given.call)
      const { slug } = await publish(given.call, author)
      await given.caughtUp()
      for (const path of ['/settings', '/editor', `/editor/${slug}`, '/?feed=following']) {
        await page.goto(path)
        assert.equal(at(), '/login', path)
      }
      await page.goto(`/article/${slug}`)
      await page.click('button >> text=Favorite Article')
      assert.equal(at(), '/login')
      await page.goto(`/profile/${author.username}`)
      await page.click('button >> text=Follow')
      assert.equal(at(), '/login')
    })
  })
}
