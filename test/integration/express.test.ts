/** Sessions for Express over Fourfold's store: what express-session promises is measured by its own suite; here, what it does not. */

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, it, type TestContext } from 'node:test'
import type { Express, NextFunction, Request, Response } from 'express'
import { FourfoldError } from '../../src/core/errors.ts'
import session, { FourfoldStore, fourfold, MemoryStore } from '../../src/http/express.ts'
import type { SessionMethods, SessionOptions } from '../../src/http/express.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import type { Store } from '../../src/store/store.ts'
import { Browser, expressMajors, Gate, serve } from '../support/express-app.ts'
import { plantHost, type PlantedHost } from '../support/http-app.ts'
import { plantFaults, type FaultyStore } from '../support/faulty-store.ts'

const require = createRequire(import.meta.url)
const secret = 'a secret of at least thirty-two characters'

/** What the sessions here hold. */
type Held = SessionMethods & { user?: string; theme?: string; [name: string]: any }

const held = (request: Request): Held => request.session as Held

interface Running {
  readonly browser: Browser
  readonly host: PlantedHost
  readonly store: FaultyStore
  readonly gates: Record<string, Gate>
}

function addRoutes(app: Express, gates: Record<string, Gate>): void {
  const wait = async (request: Request): Promise<void> => {
    const name = request.headers['x-wait']
    if (typeof name === 'string') await (gates[name] ??= new Gate()).pass()
  }
  app.get('/plain', (_, response) => void response.send('plain'))
  app.get('/user', (request, response) => void response.json({ user: held(request).user ?? null }))
  app.get('/all', (request, response) => void response.json(request.session))
  app.get('/set/:name', async (request, response) => {
    // The session was read when the request came; what is set now is written with the answer.
    await wait(request)
    held(request)[request.params.name] = (request.query['value'] as string | undefined) ?? 'set'
    response.json({ set: true })
  })
  app.get('/read', async (request, response) => {
    await wait(request)
    response.json({ user: held(request).user ?? null })
  })
  app.get('/login', (request, response, next) => {
    request.session.regenerate((error) => {
      if (error) return next(error)
      held(request).user = 'ann'
      response.json({ user: 'ann' })
    })
  })
  app.get('/logout', (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.json({ user: null })))
  })
  app.get('/flash', (request, response) => {
    // As connect-flash does.
    const session = held(request)
    const messages = (session['flash'] ??= {}) as Record<string, string[]>
    response.json({ messages: messages['error'] ?? [] })
  })
  app.get('/save', (request, response, next) => {
    held(request).theme = 'saved'
    request.session.save((error) => (error ? next(error) : response.json({})))
  })
  app.get('/null', (request, response) => {
    ;(request as { session: unknown }).session = null
    response.json({})
  })
  app.get('/stream', (request, response) => {
    response.write('one,')
    setImmediate(() => {
      held(request).theme = 'late'
      response.end('two')
    })
  })
  app.get('/sent', (request, response) => {
    held(request).theme = 'sent'
    response.json({})
    const told: unknown[] = [response.headersSent]
    try {
      response.setHeader('x-late', '1')
    } catch (error) {
      told.push((error as NodeJS.ErrnoException).code)
    }
    app.set('told', told)
  })
  app.use((error: Error, _request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error)
    const { statusCode = 500, code } = error as Partial<FourfoldError>
    response.status(statusCode).json({ code })
  })
}

async function run(
  t: TestContext,
  make: () => Express = expressMajors[0]![1],
  options: SessionOptions = {},
): Promise<Running> {
  const central = openMemoryStore()
  t.after(() => central.close())
  const store = plantFaults(central)
  const host = plantHost(store)
  const app = make()
  const gates: Record<string, Gate> = {}
  app.use(session({ ff: host.ff, secret, resave: false, saveUninitialized: false, ...options }))
  addRoutes(app, gates)
  return { browser: new Browser(await serve(t, app)), host, store, gates }
}

/** Starts a request and waits until its handler waits. */
async function begin(running: Running, browser: Browser, path: string, name: string): Promise<() => Promise<any>> {
  const gate = (running.gates[name] ??= new Gate())
  const answer = browser.ask(path, { 'x-wait': name })
  await gate.arrived
  return () => {
    gate.open()
    return answer
  }
}

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

describe('who reads', () => {
  const readers = (app: Express): void => {
    app.get('/reader', async (request, response) => {
      const { reader } = request.ff as unknown as { reader: { current(): Promise<string | null> } }
      response.json({ reader: await reader.current() })
    })
  }

  /** The planted host answers no scope that tells its reader; this one does. */
  function telling(host: PlantedHost): PlantedHost {
    const { as } = host.ff
    return Object.assign(host, {
      ff: Object.assign(host.ff, {
        as: (options: any) => Object.assign(as(options) as object, { reader: options.reader }),
      }),
    })
  }

  async function runReaders(t: TestContext, options: Parameters<typeof plantHost>[1] = {}): Promise<Running> {
    const central = openMemoryStore()
    t.after(() => central.close())
    const store = plantFaults(central)
    const host = telling(plantHost(store, options))
    const app = expressMajors[0]![1]()
    app.use(session({ ff: host.ff, secret, resave: false, saveUninitialized: false, unset: 'destroy' }))
    addRoutes(app, {})
    readers(app)
    return { browser: new Browser(await serve(t, app)), host, store, gates: {} }
  }

  it('is the reader of the session, the same after a login', async (t) => {
    const { browser } = await runReaders(t)
    await browser.ask('/set/theme')
    const { reader } = await browser.ask('/reader')
    assert.match(reader, /^anon:/)
    await browser.ask('/login')
    assert.deepEqual(await browser.ask('/reader'), { reader })
  })

  it('takes along at login and logout what the earlier reader wrote', async (t) => {
    const identify = async (request: unknown): Promise<string | null> => {
      const { user } = held(request as Request) ?? {}
      return user === undefined ? null : `user:${user}`
    }
    for (const leave of ['/logout', '/null']) {
      const { browser, host } = await runReaders(t, { identify })
      await browser.ask('/set/theme')
      const { reader } = await browser.ask('/reader')
      await browser.ask('/login')
      assert.deepEqual(host.carried, [`${reader} > user:ann`])
      assert.deepEqual(await browser.ask('/reader'), { reader: 'user:ann' })
      host.carried.length = 0
      await browser.ask(leave)
      const { reader: next } = await browser.ask('/reader')
      assert.match(next, /^anon:/)
      assert.ok(host.carried.includes(`user:ann > ${next}`), `${leave}: ${host.carried.join()}`)
    }
  })

  it('pins a browser whose last write could not be settled', async (t) => {
    const { browser, host } = await runReaders(t)
    host.settled = false
    await browser.ask('/reader')
    assert.match(browser.newCookies.join(), /^ff_pin=/)
    assert.equal(browser.last?.headers.get('fourfold-freshness'), 'unsettled')
    await browser.ask('/reader')
    assert.equal(host.scopes.at(-1)?.pinned, true)
  })

  it('is known without sessions of ours, and once where both are used', async (t) => {
    const central = openMemoryStore()
    t.after(() => central.close())
    const host = telling(plantHost(central))
    for (const own of [false, true]) {
      const app = expressMajors[0]![1]()
      app.use(fourfold({ ff: host.ff, level: 'strict' }))
      const store = own ? {} : { store: new MemoryStore() }
      app.use(session({ secret, resave: false, saveUninitialized: false, ...(own ? { ff: host.ff } : store) }))
      addRoutes(app, {})
      readers(app)
      const browser = new Browser(await serve(t, app))
      host.scopes.length = 0
      await browser.ask('/set/theme')
      assert.deepEqual(await browser.ask('/user'), { user: null })
      const { reader } = await browser.ask('/reader')
      assert.equal(reader === null, !own)
      assert.deepEqual(
        host.scopes.map(({ level }) => level),
        ['strict'],
      )
      assert.equal((await browser.ask('/all')).theme, 'set')
    }
  })
})

describe("Fourfold's store under express-session itself", () => {
  it('loses no write and revives no session either', async (t) => {
    const central: Store = openMemoryStore()
    t.after(() => central.close())
    const stock = require('express-session') as typeof session
    const app = expressMajors[0]![1]()
    const gates: Record<string, Gate> = {}
    const store = new FourfoldStore({ store: central })
    app.set('env', 'test')
    app.use(stock({ store, secret, resave: true, saveUninitialized: false }))
    addRoutes(app, gates)
    const browser = new Browser(await serve(t, app))
    const running = { browser, gates } as unknown as Running
    await browser.ask('/login')
    const finishFirst = await begin(running, browser.copy(), '/set/cart?value=bread', 'first')
    const finishSecond = await begin(running, browser.copy(), '/set/theme?value=dark', 'second')
    await finishSecond()
    await finishFirst()
    const { cart, theme } = await browser.ask('/all')
    assert.deepEqual({ cart, theme }, { cart: 'bread', theme: 'dark' })
    const finish = await begin(running, browser.copy(), '/set/cart', 'slow')
    await browser.ask('/logout')
    // express-session begins the answer before it stores, so the refusal cuts it.
    await finish().catch(() => undefined)
    assert.deepEqual(await central.list('session:'), [])
  })
})
