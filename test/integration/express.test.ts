/** Sessions for Express over Fourfold's store: what express-session promises is measured by its own suite; here, what it does not. */

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import session from '../../src/http/express.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import { Browser, expressMajors, serve } from '../support/express-app.ts'
import { plantHost } from '../support/http-app.ts'
import { addRoutes, begin, require, run, secret } from '../support/express-sessions.ts'

describe('the module', () => {
  it('is the function itself for require, with the classes on it', () => {
    const required = require('../../src/http/express.ts') as typeof session
    assert.equal(required, session)
    for (const name of ['Store', 'MemoryStore', 'Cookie', 'Session'] as const)
      assert.equal(typeof required[name], 'function')
  })
})

for (const [major, make] of expressMajors) {
  describe(`sessions in ${major}`, () => {
    it('live from login to logout', async (t) => {
      const { browser } = await run(t, make)
      assert.deepEqual(await browser.ask('/user'), { user: null })
      assert.deepEqual(browser.newCookies, [])
      await browser.ask('/login')
      assert.match(browser.newCookies[0] ?? '', /^connect\.sid=s%3A[\w-]{32}\.[^;]+; Path=\/; HttpOnly$/)
      assert.deepEqual(await browser.ask('/user'), { user: 'ann' })
      const seen = browser.copy()
      await browser.ask('/logout')
      assert.deepEqual(await browser.ask('/user'), { user: null })
      assert.deepEqual(await seen.ask('/user'), { user: null })
    })

    it('keep what two requests change at the same time in different properties', async (t) => {
      const running = await run(t, make)
      const { browser } = running
      await browser.ask('/login')
      const finishFirst = await begin(running, browser.copy(), '/set/cart?value=bread', 'first')
      const finishSecond = await begin(running, browser.copy(), '/set/theme?value=dark', 'second')
      await finishSecond()
      await finishFirst()
      const { cookie: _, ...all } = await browser.ask('/all')
      assert.deepEqual(all, { user: 'ann', cart: 'bread', theme: 'dark' })
    })

    it('are not revived by a request that was under way at the logout', async (t) => {
      const running = await run(t, make)
      const { browser } = running
      await browser.ask('/login')
      const slow = browser.copy()
      const finish = await begin(running, slow, '/set/theme', 'slow')
      await browser.ask('/logout')
      assert.deepEqual(await finish(), { code: 'FF_SESSION_GONE' })
      assert.equal(slow.status, 409)
      assert.deepEqual(slow.newCookies, [])
      assert.deepEqual(await running.store.list('session:'), [])
    })

    it('do not come back under a new id either, nor push its cookie out of the browser', async (t) => {
      const running = await run(t, make)
      const { browser } = running
      await browser.ask('/set/theme')
      const old = browser.copy()
      const finish = await begin(running, old, '/set/cart', 'slow')
      await browser.ask('/login')
      assert.deepEqual(await finish(), { code: 'FF_SESSION_GONE' })
      const late = old.copy()
      assert.deepEqual(await late.ask('/set/cart'), { code: 'FF_SESSION_GONE' })
      assert.deepEqual(late.newCookies, [])
      assert.deepEqual(await late.ask('/user'), { user: null })
      assert.deepEqual(late.newCookies, [])
      assert.deepEqual(await browser.ask('/user'), { user: 'ann' })
    })

    it('let those go on that come late and say nothing, and log in anew who wants to', async (t) => {
      const { browser, store } = await run(t, make, { saveUninitialized: true })
      await browser.ask('/user')
      const late = browser.copy()
      await browser.ask('/login')
      const records = await store.list('session:')
      assert.deepEqual(await late.ask('/flash'), { messages: [] }, 'an empty list of messages is nothing')
      assert.equal(late.status, 200)
      assert.deepEqual(late.newCookies, [])
      assert.deepEqual(await store.list('session:'), records)
      await late.ask('/login')
      assert.match(late.newCookies[0] ?? '', /^connect\.sid=/)
      assert.deepEqual(await late.ask('/user'), { user: 'ann' })
    })

    it('answer nothing that is not stored: the failure goes to the error handlers', async (t) => {
      const { browser, store } = await run(t, make)
      await browser.ask('/login')
      store.fail('update')
      assert.deepEqual(await browser.ask('/set/theme'), { code: 'FF_STORE_DEADLINE' })
      assert.equal(browser.status, 503)
      store.fail('create')
      const other = new Browser(browser.url)
      assert.deepEqual(await other.ask('/set/theme'), { code: 'FF_STORE_DEADLINE' })
      assert.deepEqual(other.newCookies, [])
      store.heal()
      assert.deepEqual(await browser.ask('/user'), { user: 'ann' })
    })

    it('fail only those who ask for them while the store is away', async (t) => {
      const { browser, store } = await run(t, make)
      await browser.ask('/login')
      store.fail('read')
      assert.equal(await browser.ask('/plain'), 'plain')
      assert.equal(browser.status, 200)
      assert.deepEqual(await browser.ask('/user'), { code: 'FF_STORE_DEADLINE' })
      assert.equal(browser.status, 503)
    })

    it('store what a stream changes after its answer has begun, before its end', async (t) => {
      const { browser } = await run(t, make)
      await browser.ask('/login')
      assert.equal(await browser.ask('/stream'), 'one,two')
      assert.equal((await browser.ask('/all')).theme, 'late')
      const stranger = new Browser(browser.url)
      assert.equal(await stranger.ask('/stream'), 'one,two')
      assert.deepEqual(stranger.newCookies, [], 'no cookie could tell of it')
    })

    it('let an answer count as sent while it is held', async (t) => {
      const app = make()
      const store = openMemoryStore()
      t.after(() => store.close())
      app.use(session({ ff: plantHost(store).ff, secret, resave: false, saveUninitialized: false }))
      addRoutes(app, {})
      const browser = new Browser(await serve(t, app))
      await browser.ask('/sent')
      assert.deepEqual(app.get('told'), [true, 'ERR_HTTP_HEADERS_SENT'])
      assert.equal((await browser.ask('/all')).theme, 'sent')
    })
  })
}

describe('the options', () => {
  it('let a session end at the age of its cookie, and put that off with each use', async (t) => {
    const { browser, store } = await run(t, undefined, { cookie: { maxAge: 60_000 }, rolling: true })
    await browser.ask('/login')
    assert.match(browser.newCookies.join(), /Expires=/)
    await browser.ask('/user')
    assert.match(browser.newCookies.join(), /Expires=/)
    assert.ok(
      store.timesToLive.every((ttlMs) => ttlMs <= 60_000 && ttlMs > 59_000),
      store.timesToLive.join(),
    )
  })

  it('put the end off where the app saves by itself, too', async (t) => {
    const { browser, store } = await run(t, undefined, { cookie: { maxAge: 3_600_000 } })
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() })
    await browser.ask('/login')
    for (let use = 0; use < 3; use++) {
      t.mock.timers.tick(1_800_000)
      await browser.ask('/save')
      assert.equal(store.timesToLive.at(-1), 3_600_000)
    }
  })

  it('write nothing where nothing changed, also with resave', async (t) => {
    const { browser, store } = await run(t, undefined, { resave: true })
    await browser.ask('/login')
    store.calls.length = 0
    await browser.ask('/user')
    assert.deepEqual(store.calls, ['read'])
  })

  it('end the session of a request that sets it to null, with unset: destroy', async (t) => {
    const central = openMemoryStore()
    t.after(() => central.close())
    const app = expressMajors[0]![1]()
    const { ff } = plantHost(central)
    app.use(session({ ff, secret, resave: false, saveUninitialized: false, unset: 'destroy' }))
    addRoutes(app, {})
    const browser = new Browser(await serve(t, app))
    await browser.ask('/login')
    await browser.ask('/null')
    assert.deepEqual(await browser.ask('/user'), { user: null })
    assert.deepEqual(await central.list('session:'), [])
  })
})

describe('a request whose answer is not there to be held', () => {
  it('has its session all the same, as with Socket.IO', async (t) => {
    const { browser, host } = await run(t)
    await browser.ask('/login')
    const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const sessions = session({ ff: host.ff, secret, resave: false, saveUninitialized: false })
    const request: any = { url: '/', headers: { cookie } }
    await new Promise<void>((resolve, reject) => {
      sessions(request, {}, (error) => (error ? reject(error as Error) : resolve()))
    })
    assert.equal(request.session.user, 'ann')
    request.session.theme = 'by socket'
    await new Promise<void>((resolve, reject) => {
      request.session.save((error: unknown) => (error ? reject(error as Error) : resolve()))
    })
    assert.equal((await browser.ask('/all')).theme, 'by socket')
  })
})
