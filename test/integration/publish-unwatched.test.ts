/** What was published and nobody bakes again: it must not lie there and grow old, as nobody asks for what a web server answers. */

import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'

import { silentLogger } from '../../src/core/log.ts'
import { withFourfold } from '../../src/http/node.ts'
import { definePage } from '../../src/pages/define-page.ts'
import { connectTier } from '../../src/store/connect-tier.ts'
import { bakerGround } from '../support/baker-ground.ts'
import { endAfter, newDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

import type { AddressInfo } from 'node:net'
import type { Fourfold } from '../../src/app/fourfold.ts'

/** Baked when somebody has asked for it. */
const author = definePage({
  path: '/author/:id',
  render: async ({ main, notFound }: any, { id }) => {
    const row = await main.selectFrom('users').selectAll().where('id', '=', Number(id)).executeTakeFirst()
    return row === undefined ? notFound() : `<h1>${row.name}</h1>`
  },
})
const brief = definePage({ path: '/brief', ttl: '1s', render: () => '<h1>brief</h1>' })

suite('published, and baked by nobody', () => {
  const root = newDirectory('ff-published-')
  const ground = bakerGround({ pages: [author, brief] })
  const file = async (name: string): Promise<string | null> =>
    readFile(join(await root, name), 'utf8').catch(() => null)
  const isFile = (name: string, body: string | null): Promise<true> =>
    waitFor(`${name} to be ${body}`, async () => (await file(name)) === body || null)
  const worker = async (options: { build?: string; bakes?: boolean; define?: object } = {}): Promise<Fourfold<any>> =>
    ground().worker({ ...options, define: { ...options.define, publish: { directory: await root } } })
  const ask = async (ff: Fourfold<any>, url: string): Promise<unknown> =>
    ff.pages.find(ff.pages.match({ method: 'GET', url })!, ff.as({ reader: null, level: 'strict' }).scope)
  after(async () => rm(await root, { recursive: true, force: true }))

  test('a new build bakes what the one before had published and nobody lists, and takes away what is gone', async () => {
    const before = await worker({ build: 'one' })
    for (const id of [1, 2, 3]) {
      await waitFor(`author ${id}`, async () => {
        await ask(before, `/author/${id}`)
        return (await file(`author/${id}.html`)) === `<h1>user ${id}</h1>`
      })
    }
    await before.close()
    await ground().outside.query(`update users set name = 'Ada' where id = 1`)
    await ground().outside.query('delete from users where id = 2')
    const next = await worker({ build: 'two' })
    await isFile('author/1.html', '<h1>Ada</h1>')
    await isFile('author/2.html', null)
    await ground().outside.query(`update users set name = 'Grace' where id = 3`)
    await isFile('author/3.html', '<h1>Grace</h1>')
    await next.close()
  })

  test('a file that somebody removed, of a page that is in no tier any more, is there again after a start', async (t) => {
    const before = await worker({ build: 'lost' })
    await waitFor('the file', async () => {
      await ask(before, '/author/5')
      return (await file('author/5.html')) === '<h1>user 5</h1>'
    })
    await before.close()
    const tier = await connectTier({ url: ground().connections.storeUrl, deadlineMs: 5_000, log: silentLogger })
    endAfter(t, () => tier.close())
    await tier.delete(before.pages.match({ method: 'GET', url: '/author/5' })!.id)
    await rm(join(await root, 'author/5.html'))
    const next = await worker({ build: 'lost' })
    await isFile('author/5.html', '<h1>user 5</h1>')
    await next.close()
  })

  test('a page that ends by the clock, and that nobody lists, is taken away then, and comes back when somebody asks', async () => {
    const one = await worker({ build: 'ttl' })
    for (let time = 0; time < 2; time += 1) {
      await waitFor('the file', async () => {
        await ask(one, '/brief')
        return (await file('brief.html')) === '<h1>brief</h1>'
      })
      await isFile('brief.html', null)
    }
    await one.close()
  })

  test('a route that becomes personal is taken away', async (t) => {
    const one = await worker({ build: 'routes', bakes: false, define: { pages: [], bakeRoutes: ['/legacy/*'] } })
    const server = createServer(
      withFourfold(one, async (request: any, response) => {
        const { main } = request.ff.databases
        const { name } = await main.selectFrom('users').selectAll().where('id', '=', 9).executeTakeFirst()
        if (name === 'personal') JSON.stringify(request.session ?? null)
        response.setHeader('content-type', 'text/html').end(`<h1>${name}</h1>`)
      }),
    ).listen(0, '127.0.0.1')
    endAfter(t, async () => (server.closeAllConnections(), void server.close()))
    await waitFor('it listens', () => server.listening)
    one.pages.servesAt(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    one.baking.start()
    await waitFor('the file', async () => {
      await ask(one, '/legacy/a')
      return (await file('legacy/a.html')) === '<h1>user 9</h1>'
    })
    await ground().outside.query(`update users set name = 'public' where id = 9`)
    await isFile('legacy/a.html', '<h1>public</h1>')
    await ground().outside.query(`update users set name = 'personal' where id = 9`)
    await isFile('legacy/a.html', null)
    assert.equal(await ask(one, '/legacy/a'), null, 'the app answers')
  })
})
