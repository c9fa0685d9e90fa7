/** Pages that the balancer answers by itself, for an app that names its readers: whose request each is taken for. */

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'

import { byOf, handle, pages, secret, titleOf, type Seen } from '../support/balanced-articles.ts'
import { balancePages, type BalancedPages } from '../support/balanced-pages.ts'
import { cacheGround } from '../support/cache-app.ts'
import { CookieJar } from '../support/http-app.ts'
import { waitFor } from '../support/wait-for.ts'

suite('pages in the balancer, for an app that names its readers', () => {
  const identify = async ({ session, headers }: any): Promise<string | null> => {
    const named = headers['x-user'] ?? (await session.get('user'))
    return named === undefined ? null : `user:${named}`
  }
  const baking = { credentialHeaders: ['X-User'], ignoreCookies: ['_ga*', 'theme'] }
  const ground = cacheGround([], { config: { pages, identify, baking, sessions: { secrets: [secret] } } })
  let system: BalancedPages
  before(async () => {
    system = await balancePages(ground().ff, { pages }, handle)
  })
  after(() => system.stop())

  const page = async (jar: CookieJar, slug: string, headers: Record<string, string> = {}): Promise<Seen> => {
    const text = (await jar.get(`${system.url}/article/${slug}`, headers)) as string
    return { status: jar.last!.status, title: titleOf(text), by: byOf(jar.last!) }
  }
  const byBalancer = (jar: CookieJar, slug: string): Promise<unknown> =>
    waitFor(`the balancer answers ${slug}`, async () => (await page(jar, slug)).by === 'balancer')
  const post = (jar: CookieJar, path: string, headers: Record<string, string> = {}): Promise<unknown> =>
    jar.send('POST', system.url + path, undefined, headers)

  test('nobody is answered here; cookies of others only where they are to be ignored', async () => {
    const jar = new CookieJar()
    await byBalancer(jar, 'slug-1')
    jar.cookies.set('_ga_1', 'x').set('theme', 'dark').set('ff_build', '1.x')
    assert.equal((await page(jar, 'slug-1')).by, 'balancer')
    assert.equal((await page(jar, 'slug-1', { 'x-user': '7' })).by, 'clone')
    jar.cookies.set('token', 'x')
    assert.equal((await page(jar, 'slug-1')).by, 'clone')
  })

  test('two browsers of one user see what either wrote in the very next page', async () => {
    const [one, two] = [new CookieJar(), new CookieJar()]
    for (const jar of [one, two]) {
      await post(jar, '/login?user=7')
      await byBalancer(jar, 'slug-2')
    }
    for (let round = 0; round < 20; round += 1) {
      const [writer, reader] = round % 2 === 0 ? [one, two] : [two, one]
      await post(writer, `/write?slug=slug-2&title=round-${round}`)
      assert.equal((await page(reader, 'slug-2')).title, `round-${round}`)
    }
    await byBalancer(one, 'slug-2')
  })

  test('whoever becomes another user sees what that one wrote, also right after', async () => {
    const [author, jar] = [new CookieJar(), new CookieJar()]
    await post(author, '/login?user=8')
    for (let round = 0; round < 10; round += 1) {
      await post(jar, `/login?user=9`)
      await byBalancer(jar, 'slug-3')
      await post(author, `/write?slug=slug-3&title=by-8-${round}`)
      await post(jar, `/login?user=8`)
      assert.equal((await page(jar, 'slug-3')).title, `by-8-${round}`)
    }
    await post(jar, '/logout')
    await byBalancer(jar, 'slug-3')
  })

  test('what a request with credentials is taken for is not noted with its session', async () => {
    const [author, jar] = [new CookieJar(), new CookieJar()]
    await post(author, '/login?user=10')
    await post(jar, '/login?user=10')
    // Identified by the header, though there is a session too.
    assert.equal((await page(jar, 'slug-4', { 'x-user': '11' })).by, 'clone')
    await post(author, '/write?slug=slug-4&title=by-10')
    assert.equal((await page(jar, 'slug-4')).title, 'by-10')
  })

  test('a session that has lost its record, or moved, goes to a clone', async () => {
    const jar = new CookieJar()
    await post(jar, '/login?user=12')
    await byBalancer(jar, 'slug-5')
    const left = new CookieJar()
    for (const [name, value] of jar.cookies) left.cookies.set(name, value)
    await post(jar, '/logout')
    assert.equal((await page(left, 'slug-5')).by, 'clone')
  })
})
