/** What is Hono's own of the adapter; what all adapters promise is in http.test.ts. */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { Hono } from 'hono'
import { streamText } from 'hono/streaming'
import { fourfold } from '../../src/http/hono.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import { Gate } from '../support/express-app.ts'
import { plantFaults, type FaultyStore } from '../support/faulty-store.ts'
import { plantHost } from '../support/http-app.ts'

interface Running {
  readonly app: Hono
  readonly store: FaultyStore
}

function run(t: TestContext): Running {
  const central = openMemoryStore()
  t.after(() => central.close())
  const store = plantFaults(central)
  const app = new Hono()
  app.use(fourfold({ ff: plantHost(store).ff }))
  app.get('/set', (c) => {
    c.var.session.set('user', 'ann')
    return c.json({ variables: Object.keys(c.var) })
  })
  app.get('/user', async (c) => c.json({ user: (await c.get('session').get('user')) ?? null }))
  return { app, store }
}

function cookieOf(response: Response): string {
  return response.headers
    .getSetCookie()
    .map((line) => line.split(';')[0])
    .join('; ')
}

describe('fourfold for Hono', () => {
  it('needs no server of Node beneath it', async (t) => {
    const { app } = run(t)
    const response = await app.request('/set')
    assert.deepEqual(await response.json(), { variables: ['ff', 'session'] })
    const user = await app.request('/user', { headers: { cookie: cookieOf(response) } })
    assert.deepEqual(await user.json(), { user: 'ann' })
  })

  it('adds its cookie to answers whose headers cannot be changed, beside their own', async (t) => {
    const { app } = run(t)
    app.get('/elsewhere', (c) => {
      c.get('session').set('user', 'ann')
      const response = Response.redirect('http://example.com/')
      assert.throws(() => response.headers.set('x', '1'), 'headers of such an answer are immutable')
      return response
    })
    app.get('/own', (c) => {
      c.get('session').set('user', 'ann')
      c.header('set-cookie', 'own=1')
      return c.text('')
    })
    assert.match(cookieOf(await app.request('/elsewhere')), /^ff_session=/)
    assert.match(cookieOf(await app.request('/own')), /^own=1; ff_session=/)
  })

  it('answers a store that is away as 503, whoever asked it, and through onError where there is one', async (t) => {
    const { app, store } = run(t)
    const cookie = cookieOf(await app.request('/set'))
    store.fail('read', 'update', 'create')
    for (const path of ['/user', '/set']) {
      const response = await app.request(path, { headers: { cookie } })
      assert.equal(response.status, 503, path)
      assert.equal(((await response.json()) as { code: string }).code, 'FF_STORE_DEADLINE')
      assert.equal(response.headers.get('retry-after'), '1')
    }
    app.onError((error, c) => c.json({ own: error.name }, 418))
    assert.deepEqual(await (await app.request('/set')).json(), { own: 'FourfoldError' })
  })

  it('lets a stream go on after the headers, whose session update() still changes', async (t) => {
    const { app } = run(t)
    const gate = new Gate()
    app.get('/stream', async (c) => {
      const session = c.get('session')
      await session.get('user')
      return streamText(c, async (stream) => {
        await gate.pass()
        assert.throws(() => session.set('user', 'bob'), { code: 'FF_SESSION_LATE' })
        await session.update('user', () => 'carl')
        await stream.write('written')
      })
    })
    const cookie = cookieOf(await app.request('/set'))
    const response = await app.request('/stream', { headers: { cookie } })
    gate.open()
    assert.equal(await response.text(), 'written')
    assert.deepEqual(await (await app.request('/user', { headers: { cookie } })).json(), { user: 'carl' })
  })
})
