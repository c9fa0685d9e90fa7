/** The way of docs/guides/moving-an-express-app.md, there and back, with visitors who stay logged in all along. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { suite, test, type TestContext } from 'node:test'
import { RedisStore } from 'connect-redis'
import express, { type Express, type RequestHandler } from 'express'
import { createClient } from 'redis'
import { defineApp, open } from 'fourfold'
import session, { type SessionOptions } from 'fourfold/express'
import { findRedis, ensureRedis } from '../../scripts/services.ts'
import { Browser, serve } from '../support/express-app.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'
import { startCommand } from '../support/start-command.ts'

/** The import that the app begins with, and the one that it moves to. */
const stock = createRequire(import.meta.url)('express-session') as (options: SessionOptions) => RequestHandler
const secret = 'a secret of at least thirty-two characters'
const options: SessionOptions = { secret, resave: false, saveUninitialized: false, cookie: { maxAge: 3_600_000 } }
const redis = await findRedis()
/** As another program: its declarations of what sessions hold are its own. */
const example = new URL('../../examples/express/app.ts', import.meta.url).href
const { addPages } = (await import(example)) as { addPages(app: Express): void }

async function serveShop(t: TestContext, sessions: RequestHandler): Promise<string> {
  const app = express()
  app.use(sessions)
  addPages(app)
  return serve(t, app)
}

/** Somebody with a cart, wherever the shop is now. */
class Visitor {
  readonly name: string
  readonly cart: string[] = []
  #browser: Browser

  constructor(name: string, url: string) {
    this.name = name
    this.#browser = new Browser(url)
  }

  moveTo(url: string): void {
    const next = new Browser(url)
    for (const [name, value] of this.#browser.cookies) next.cookies.set(name, value)
    this.#browser = next
  }

  /** The same cookies in another browser. */
  copy(): Visitor {
    const other = new Visitor(this.name, this.#browser.url)
    other.#browser = this.#browser.copy()
    other.cart.push(...this.cart)
    return other
  }

  async login(): Promise<void> {
    await this.#browser.post('/login', { user: this.name })
  }

  async buy(item: string): Promise<void> {
    this.cart.push(item)
    await this.#browser.post('/cart', { item })
  }

  async logout(): Promise<void> {
    await this.#browser.post('/logout', {})
  }

  me(): Promise<unknown> {
    return this.#browser.ask('/me')
  }

  /** Is logged in and has everything. */
  async isAtHome(): Promise<void> {
    assert.deepEqual(await this.me(), { user: this.name, cart: this.cart })
  }

  post(path: string, body: object): Promise<unknown> {
    return this.#browser.post(path, body)
  }

  ask(path: string): Promise<any> {
    return this.#browser.ask(path)
  }
}

suite('moving an Express app', { skip: redis === null }, () => {
  test('from express-session and connect-redis to Fourfold sessions, replicas and clones, and back', async (t) => {
    const service = await ensureRedis()
    const client = await createClient({ url: service.url }).connect()
    t.after(async () => {
      await client.close()
      await ff.close()
      await service.stop()
    })
    const store = (): RedisStore => new RedisStore({ client })
    const ff = await open(defineApp({ databases: {}, store: { url: service.url } }), {
      config: { dataDir: await makeDirectory(t), logLevel: 'warn' },
    })
    const clones = async (): Promise<string> => {
      const env = { SESSION_SECRET: secret, FOURFOLD_STORE_URL: service.url }
      const started = await startCommand(t, { app: 'examples/express/app.ts', data: await makeDirectory(t), env })
      endAfter(t, async () => {
        started.child.kill('SIGINT')
        if (started.child.exitCode === null) await once(started.child, 'exit')
      })
      return started.url
    }
    const stages: [string, () => Promise<string>][] = [
      ['as it is', () => serveShop(t, stock({ ...options, store: store() }))],
      ['the import', () => serveShop(t, session({ ...options, store: store() }))],
      ['both stores', () => serveShop(t, session({ ...options, store: store(), ff }))],
      ["Fourfold's store", () => serveShop(t, session({ ...options, ff }))],
      ['replicas and clones', clones],
      ["Fourfold's store again", () => serveShop(t, session({ ...options, ff }))],
      [
        'both stores again',
        async () => {
          // What lies there is old: sessions that ended since would be alive in it.
          await store().clear()
          return serveShop(t, session({ ...options, store: store(), ff }))
        },
      ],
      ['the import again', () => serveShop(t, session({ ...options, store: store() }))],
      ['as it was', () => serveShop(t, stock({ ...options, store: store() }))],
    ]
    const visitors: Visitor[] = []
    const ghosts: Visitor[] = []
    for (const [name, start] of stages) {
      await t.test(name, async () => {
        const url = await start()
        for (const visitor of [...visitors, ...ghosts]) visitor.moveTo(url)
        for (const visitor of visitors) {
          await visitor.isAtHome()
          await visitor.buy(name)
          await visitor.isAtHome()
        }
        for (const ghost of ghosts)
          assert.deepEqual(await ghost.me(), { user: null, cart: [] }, `${ghost.name} is back`)
        const stays = new Visitor(`came at: ${name}`, url)
        const leaves = new Visitor(`left at: ${name}`, url)
        for (const visitor of [stays, leaves]) {
          await visitor.login()
          await visitor.buy('bread')
          await visitor.isAtHome()
        }
        ghosts.push(leaves.copy())
        await leaves.logout()
        // Somebody from the beginning leaves at each later stage.
        const [oldest] = visitors.length > 2 ? visitors.splice(0, 1) : []
        if (oldest !== undefined) {
          ghosts.push(oldest.copy())
          await oldest.logout()
        }
        for (const ghost of ghosts) assert.deepEqual(await ghost.me(), { user: null, cart: [] }, `${ghost.name} stayed`)
        visitors.push(stays)
        if (name === 'replicas and clones') await readOwnNotes(stays)
      })
    }
    assert.ok(visitors.length > 1)
  })
})

/** Reads go to the replica, by whichever clone, and show the visitor's own writes. */
async function readOwnNotes(visitor: Visitor): Promise<void> {
  for (let count = 1; count <= 20; count++) {
    await visitor.post('/notes', { text: `note ${count}` })
    const notes = (await visitor.ask('/notes')) as { text: string }[]
    assert.equal(notes.length, count)
    assert.equal(notes.at(-1)?.text, `note ${count}`)
  }
}
