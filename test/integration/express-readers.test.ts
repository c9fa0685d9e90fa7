/** Whom Fourfold takes for the reader in an app of Express, and its store under express-session itself. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Express, Request } from 'express'
import session, { FourfoldStore, fourfold, MemoryStore } from '../../src/http/express.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import type { Store } from '../../src/store/store.ts'
import { Browser, expressMajors, Gate, serve } from '../support/express-app.ts'
import { plantHost, type PlantedHost } from '../support/http-app.ts'
import { plantFaults } from '../support/faulty-store.ts'
import { type Running, addRoutes, begin, held, require, secret } from '../support/express-sessions.ts'

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
