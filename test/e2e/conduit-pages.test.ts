/** Conduit's pages in a real browser, with JavaScript and without. */

import assert from 'node:assert/strict'
import { after, before, describe, test, type TestContext } from 'node:test'

import type { Browser, BrowserContext, Page } from 'playwright-core'
import { launchBrowser } from '../support/browser.ts'
import { type Call, createClient, type Member, publish, register, startConduit, unique } from '../support/conduit.ts'

let url: string
let caughtUp: () => Promise<void>
let call: Call
let browser: Browser
let stop = async (): Promise<void> => {}

before(
  async () => {
    const conduit = await startConduit({ after: (end: () => Promise<void>) => void (stop = end) })
    ;({ url, caughtUp } = conduit)
    call = createClient(url)
    browser = await launchBrowser()
  },
  { timeout: 60_000 },
)

after(async () => {
  await browser?.close()
  await stop()
})

interface Visit {
  readonly page: Page
  readonly context: BrowserContext
  /** The path of the page that is shown. */
  readonly at: () => string
}

/** A browser of its own, that fails the test where a page's script or policy fails. */
async function visit(t: TestContext, options: { javaScriptEnabled?: boolean } = {}): Promise<Visit> {
  const context = await browser.newContext({ baseURL: url, ...options })
  t.after(() => context.close())
  context.setDefaultTimeout(10_000)
  const page = await context.newPage()
  const failures: string[] = []
  page.on('pageerror', (error) => failures.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' && message.text().includes('Content Security Policy')) failures.push(message.text())
  })
  t.after(() => assert.deepEqual(failures, []))
  return { page, context, at: () => decodeURIComponent(page.url().slice(url.length)) }
}

async function signIn({ page, at }: Visit, member: Member): Promise<void> {
  await page.goto('/login')
  await page.fill('[name=email]', member.email)
  await page.fill('[name=password]', member.password)
  await page.click('button[type=submit]')
  await page.waitForURL('/')
  assert.equal(at(), '/')
}

const count = (page: Page, selector: string): Promise<number> => page.locator(selector).count()
const text = async (page: Page, selector: string): Promise<string> => (await page.innerText(selector)).trim()

describe('accounts', () => {
  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? 'with' : 'without'
    test(`registering, logging out and in again, ${how} JavaScript`, async (t) => {
      const visitor = await visit(t, { javaScriptEnabled })
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
    const { page, at } = await visit(t)
    const taken = await register(call, 'taken')
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
    const { page, at } = await visit(t)
    const member = await register(call)
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
    const visitor = await visit(t)
    const session = async (): Promise<string | undefined> =>
      (await visitor.context.cookies()).find((cookie) => cookie.name.endsWith('ff_session'))?.value
    const member = await register(call)
    await signIn(visitor, member)
    const first = await session()
    assert.ok(first)
    await signIn(visitor, member)
    assert.notEqual(await session(), first)
    const stale = await browser.newContext({ baseURL: url })
    t.after(() => stale.close())
    await stale.addCookies([{ name: 'ff_session', value: first, url }])
    assert.equal((await stale.request.get('/settings', { maxRedirects: 0 })).status(), 303)
  })

  test('settings are saved and lead to the profile; an empty password keeps the old one', async (t) => {
    const visitor = await visit(t)
    const { page, at } = visitor
    const member = await register(call)
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
    assert.equal((await call('POST', '/users/login', login)).status, 200)
  })

  test('protected pages and actions send an anonymous visitor to the login', async (t) => {
    const { page, at } = await visit(t)
    const author = await register(call)
    const { slug } = await publish(call, author)
    await caughtUp()
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

describe('articles', () => {
  test('writing, changing and deleting an article, with tags as pills', async (t) => {
    const visitor = await visit(t)
    const { page, at } = visitor
    const member = await register(call)
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
    assert.equal(await text(page, '.article-content h2'), 'Heading')
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
    const visitor = await visit(t)
    const { page, at } = visitor
    await signIn(visitor, await register(call))
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
    const visitor = await visit(t)
    const { page, context } = visitor
    const { slug } = await publish(call, await register(call))
    await signIn(visitor, await register(call))
    await page.goto(`/article/${slug}`)
    assert.equal(await count(page, 'text=Edit Article'), 0)
    assert.equal(await count(page, 'text=Delete Article'), 0)
    assert.equal((await page.goto(`/editor/${slug}`))?.status(), 403)
    const answer = await context.request.post(`/article/${slug}/delete`, { maxRedirects: 0 })
    assert.equal(answer.status(), 403)
  })

  test('no script of a user ever runs', async (t) => {
    const visitor = await visit(t)
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
    const author = await register(call, '<script>ran()</script>')
    const image = '"><script>ran()</script>'
    await call('PUT', '/user', { token: author.token, body: { user: { bio: hostile, image } } })
    const made = await publish(call, author, {
      title: hostile.slice(0, 200),
      description: hostile,
      body: hostile,
      tagList: ['<b>', '"><script>ran()</script>'],
    })
    const slug = encodeURIComponent(made.slug)
    await call('POST', `/articles/${slug}/comments`, { token: author.token, body: { comment: { body: hostile } } })
    await caughtUp()
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
    const visitor = await visit(t)
    const { page, at } = visitor
    const author = await register(call, 'author')
    const { slug } = await publish(call, author)
    const member = await register(call)
    await caughtUp()
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
    const visitor = await visit(t)
    const { page, at } = visitor
    const author = await register(call)
    const { slug } = await publish(call, author)
    await call('POST', `/articles/${slug}/comments`, {
      token: author.token,
      body: { comment: { body: 'By the author' } },
    })
    const member = await register(call)
    await caughtUp()
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

describe('lists', () => {
  test('ten on a page, and links that keep the other parameters', async (t) => {
    const { page, at } = await visit(t)
    const author = await register(call)
    const tag = unique('tag')
    for (let n = 0; n < 23; n++) await publish(call, author, { tagList: [tag] })
    await caughtUp()
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
    const reader = await visit(t)
    const member = await register(call)
    await call('POST', `/profiles/${author.username}/follow`, { token: member.token })
    await signIn(reader, member)
    await reader.page.click('text=Your Feed')
    await reader.page.click('.page-link >> text=2')
    assert.equal(reader.at(), '/?feed=following&page=2')
    assert.equal(await count(reader.page, '.article-preview'), 10)
    await reader.page.click('.article-preview >> nth=0 >> .preview-link')
    assert.match(reader.at(), /^\/article\//)
  })

  test('the first page has its parts, and nothing comes from elsewhere', async (t) => {
    const { page } = await visit(t)
    await publish(call, await register(call))
    await caughtUp()
    const elsewhere: string[] = []
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !request.url().startsWith('data:')) elsewhere.push(request.url())
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

describe('what is not a page', () => {
  test('unknown addresses are pages with status 404, broken ones 400', async (t) => {
    const { page } = await visit(t)
    const paths = [
      '/nope',
      '/article/nope',
      '/profile/nope',
      '/article/%00',
      '/profile/%00',
      '/tag/%00',
      '/?page=x',
      '/?page=0',
      '/?page=-1',
      '/assets/nope.css',
    ]
    for (const path of [...paths, '/?page=1&page=2', '/assets/..%2fsrc%2fapp.ts']) {
      const answer = await page.goto(path)
      assert.equal(answer?.status(), 404, path)
      assert.equal(await count(page, 'nav.navbar'), 1)
    }
    const broken = await fetch(`${url}/article/%zz`)
    assert.equal(broken.status, 400)
    assert.match(broken.headers.get('content-type') ?? '', /^text\/html/)
  })

  test('a form from another site is refused', async (t) => {
    const visitor = await visit(t)
    await signIn(visitor, await register(call))
    const send = async (headers: Record<string, string>): Promise<number> =>
      (await visitor.context.request.post('/logout', { headers, maxRedirects: 0 })).status()
    assert.equal(await send({ origin: 'https://elsewhere.example' }), 403)
    assert.equal(await send({ origin: 'null' }), 403)
    assert.equal(await send({ 'sec-fetch-site': 'cross-site' }), 403)
    assert.equal(await send({ 'sec-fetch-site': 'same-site', origin: url }), 403)
    assert.equal((await visitor.context.request.get('/settings')).url(), `${url}/settings`)
    assert.equal(await send({ origin: url }), 303)
  })

  test('forms of the wrong kind or size are refused', async () => {
    const post = (path: string, type: string, body: string): Promise<Response> =>
      fetch(`${url}${path}`, { method: 'POST', headers: { 'content-type': type }, body, redirect: 'manual' })
    const form = 'application/x-www-form-urlencoded'
    assert.equal((await post('/login', 'application/json', '{}')).status, 415)
    assert.equal((await post('/login', 'text/plain', 'email=x')).status, 415)
    assert.equal((await post('/login', form, `email=${'x'.repeat(3 * 1024 * 1024)}`)).status, 413)
    assert.equal((await post('/login', form, '')).status, 422)
    assert.equal((await post('/login', form, 'email=a%00@b.c&password=x')).status, 422)
    assert.equal((await post('/login', form, 'email=a&email=b&password=%zz')).status, 401)
    assert.equal((await post('/register', form, '__proto__=x&constructor=y')).status, 422)
    assert.equal((await post('/nope', form, 'a=b')).status, 404)
  })

  test('a bad cookie is no session', async () => {
    for (const cookie of [
      'ff_session=nonsense',
      'ff_session=%zz; ff_reader=x.y',
      'ff_session=; ff_session=a',
      '=;;=',
    ]) {
      const answer = await fetch(url, { headers: { cookie } })
      assert.equal(answer.status, 200)
    }
  })

  test('files are kept by what is in them', async () => {
    const home = await (await fetch(url)).text()
    const [href = ''] = /\/assets\/style\.css\?v=[\w-]+/.exec(home) ?? []
    const file = await fetch(url + href)
    assert.match(file.headers.get('cache-control') ?? '', /immutable/)
    const etag = file.headers.get('etag') ?? ''
    assert.equal((await fetch(url + href, { headers: { 'if-none-match': etag } })).status, 304)
    assert.match((await fetch(`${url}/assets/style.css?v=other`)).headers.get('cache-control') ?? '', /no-cache/)
  })
})
