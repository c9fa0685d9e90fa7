/** How answers are held back until what they tell of is stored, and what happens where that fails. */

import assert from 'node:assert/strict'
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { describe, it, type TestContext } from 'node:test'
import Fastify from 'fastify'
import { fourfold } from '../../src/http/fastify.ts'
import { withFourfold, type FourfoldHandler } from '../../src/http/node.ts'
import { isFourfoldError } from '../../src/core/errors.ts'
import type { Fourfold } from '../../src/app/fourfold.ts'
import { openMemoryStore } from '../../src/store/memory/memory-store.ts'
import { addressOf, CookieJar, plantHost } from '../support/http-app.ts'

function openHost(t: TestContext): Fourfold<any> {
  const store = openMemoryStore()
  t.after(() => store.close())
  return plantHost(store).ff
}

async function serve(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  return addressOf(server)
}

describe('withFourfold', () => {
  const ask = async (t: TestContext, handler: FourfoldHandler<any>): Promise<Response> =>
    fetch(await serve(t, withFourfold(openHost(t), handler)))

  it("sends its cookie beside the app's own, however the app sets them", async (t) => {
    const heads: FourfoldHandler<any>[] = [
      (_, response) => void response.setHeader('set-cookie', 'own=1').end(),
      (_, response) => void response.writeHead(201, { 'Set-Cookie': 'own=1', 'x-own': 'yes' }).end(),
      (_, response) => void response.writeHead(201, 'Made', { 'set-cookie': ['own=1', 'two=2'], 'x-own': 'yes' }).end(),
      (_, response) => void response.writeHead(201, ['Set-Cookie', 'own=1', 'x-own', 'yes']).end(),
    ]
    for (const head of heads) {
      const response = await ask(t, (request, raw) => {
        request.session.set('a', 1)
        return head(request, raw)
      })
      const names = response.headers.getSetCookie().map((line) => line.split('=')[0])
      assert.ok(names.includes('own') && names.includes('ff_session'), names.join())
      if (response.status === 201) assert.equal(response.headers.get('x-own'), 'yes')
    }
  })

  it('keeps the order and the back pressure of a long answer', async (t) => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `line ${index} ${'x'.repeat(40)}\n`)
    const response = await ask(t, async (request, raw) => {
      request.session.set('a', 1)
      raw.writeHead(200, { 'content-type': 'text/plain' })
      await pipeline(Readable.from(lines), raw)
    })
    assert.equal(await response.text(), lines.join(''))
    assert.equal(response.headers.getSetCookie().length, 1)
  })

  it('answers the callbacks of write and end', async (t) => {
    const done: string[] = []
    const response = await ask(t, (request, raw) => {
      request.session.set('a', 1)
      raw.write('one', () => done.push('write'))
      raw.end('two', () => done.push('end'))
    })
    assert.equal(await response.text(), 'onetwo')
    assert.deepEqual(done, ['write', 'end'])
  })

  it('answers what node refuses of a held answer, instead of ending the process', { timeout: 10_000 }, async (t) => {
    const refused: FourfoldHandler<any>[] = [
      (_, response) => void response.writeHead(200, { 'x-own': 'two\nlines' }).end('never'),
      (_, response) => void Object.assign(response, { statusCode: 99 }).end('never'),
      (_, response) => void response.write(5 as never),
    ]
    for (const handler of refused) {
      const response = await ask(t, (request, raw) => {
        request.session.set('a', 1)
        return handler(request, raw)
      })
      assert.equal(response.status, 500)
      assert.ok(!(await response.text()).includes('never'))
    }
  })

  it('passes a request through untouched where nothing of Fourfold was used', async (t) => {
    const response = await ask(t, (_, raw) => {
      assert.equal(raw.write('a'), true)
      assert.equal(raw.headersSent, true)
      raw.end()
    })
    assert.equal(await response.text(), 'a')
  })

  it('drops an answer whose session could not be stored, and what the handler still writes', async (t) => {
    const ff = openHost(t)
    const begun = ff.sessions.open(null)
    begun.set('user', 7)
    await begun.save()
    const cookie = (begun.cookieToSet() ?? '').split(';')[0] ?? ''
    const listener = withFourfold(ff, async (request, response) => {
      await request.session.get('user')
      await ff.sessions.open(cookie.slice(cookie.indexOf('=') + 1)).destroy()
      request.session.set('user', 8)
      response.writeHead(200, { 'content-length': '5', 'content-type': 'text/plain' })
      response.write('hel')
      await new Promise((resolve) => setImmediate(resolve))
      response.end('lo')
    })
    const response = await fetch(await serve(t, listener), { headers: { cookie } })
    assert.equal(response.status, 409)
    assert.equal(((await response.json()) as { code: string }).code, 'FF_SESSION_GONE')
  })

  it('answers errors as JSON, or as HTML for a browser, without what is inside', async (t) => {
    const url = await serve(
      t,
      withFourfold(openHost(t), (request) => {
        void request.session
        throw Object.assign(new Error('the password is 123'), request.url === '/teapot' ? { statusCode: 418 } : {})
      }),
    )
    const json = await fetch(url)
    assert.equal(json.status, 500)
    assert.deepEqual(await json.json(), {
      statusCode: 500,
      error: 'Internal Server Error',
      message: 'Internal Server Error',
    })
    const html = await fetch(url, { headers: { accept: 'text/html' } })
    assert.match(await html.text(), /<h1>500 Internal Server Error<\/h1>/)
    assert.equal((await fetch(`${url}/teapot`)).status, 418)
  })

  it('cuts an answer that had begun when the handler failed', async (t) => {
    const url = await serve(
      t,
      withFourfold(openHost(t), async (_, response) => {
        response.write('half')
        throw new Error('planted')
      }),
    )
    const response = await fetch(url)
    await assert.rejects(response.text())
  })

  it('answers HEAD with the headers only', async (t) => {
    const url = await serve(
      t,
      withFourfold(openHost(t), (request, response) => {
        request.session.set('a', 1)
        response.end('body')
      }),
    )
    const client = httpRequest(url, { method: 'HEAD' }).end()
    const [response] = (await once(client, 'response')) as [IncomingMessage]
    assert.equal(await text(response), '')
    assert.equal(response.headers['set-cookie']?.length, 1)
  })
})

describe('the Fastify plugin', () => {
  it("leaves the app's own error handler in charge, with the status of the error", async (t) => {
    const ff = openHost(t)
    const app = Fastify()
    t.after(() => app.close())
    await app.register(fourfold, { ff })
    const seen: unknown[] = []
    app.setErrorHandler((error, request, reply) => {
      seen.push(isFourfoldError(error) ? error.code : error)
      request.session.set('flash', 'sorry')
      return reply.status((error as { statusCode: number }).statusCode).send({ own: true })
    })
    app.get('/begin', async (request) => request.session.set('user', 7))
    app.get('/gone', async (request) => {
      await request.session.get('user')
      const cookie = (request.headers.cookie ?? '').split('=')[1] ?? ''
      await ff.sessions.open(cookie).destroy()
      request.session.set('user', 8)
      return { ok: true }
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const client = new CookieJar()
    await client.get(`${addressOf(app.server)}/begin`)
    assert.deepEqual(await client.get(`${addressOf(app.server)}/gone`), { own: true })
    assert.equal(client.last?.status, 409)
    assert.deepEqual(seen, ['FF_SESSION_GONE'])
    const value = client.cookies.get('ff_session') ?? ''
    assert.deepEqual(
      [await ff.sessions.open(value).get('flash'), await ff.sessions.open(value).get('user')],
      ['sorry', undefined],
    )
  })

  it('reaches routes outside the scope it was registered in, hooks included', async (t) => {
    const app = Fastify()
    t.after(() => app.close())
    await app.register(fourfold, { ff: openHost(t) })
    app.addHook('preHandler', async (request) => request.session.set('hook', true))
    await app.register(async (inner) => {
      inner.get('/inner', async (request) => ({ hook: await request.session.get('hook') }))
    })
    const response = await app.inject('/inner')
    assert.deepEqual(response.json(), { hook: true })
    assert.match(String(response.headers['set-cookie']), /^ff_session=/)
  })

  it('stores before a streamed answer begins', async (t) => {
    const ff = openHost(t)
    const app = Fastify()
    t.after(() => app.close())
    await app.register(fourfold, { ff })
    app.get('/', async (request, reply) => {
      request.session.set('a', 1)
      return reply.send(Readable.from(['one', 'two']))
    })
    const response = await app.inject('/')
    assert.equal(response.body, 'onetwo')
    assert.match(String(response.headers['set-cookie']), /^ff_session=/)
  })
})
