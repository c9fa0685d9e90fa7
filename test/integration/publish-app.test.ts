/** Publishing of an app: from a commit to the file, by the process that bakes. */

import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { definePage } from '../../src/pages/define-page.ts'
import { pageKey, routeKey } from '../../src/pages/publish/edge/surrogate-keys.ts'
import { Scope } from '../../src/freshness/scope.ts'
import { cacheGround } from '../support/cache-app.ts'
import { bakerGround } from '../support/baker-ground.ts'
import { newDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

const article = definePage({
  path: '/article/:slug',
  render: async ({ main, notFound }: any, { slug }) => {
    const row = await main.selectFrom('articles').selectAll().where('slug', '=', slug).executeTakeFirst()
    return row === undefined ? notFound() : `<h1>${row.title}</h1>`
  },
  params: [{ slug: 'slug-1' }, { slug: 'slug-2' }],
})

const every = definePage({
  path: '/article/:slug',
  render: article.render,
  params: async ({ main }: any) => await main.selectFrom('articles').select('slug').execute(),
})

const directory = await newDirectory('ff-published-')

suite('an app that publishes', () => {
  const edge = { kind: 'varnish' as const, urls: ['http://127.0.0.1:9/'] }
  const ground = cacheGround([], { config: { pages: [article], publish: { directory, edge } } })
  const file = async (name: string): Promise<string | null> => readFile(join(directory, name), 'utf8').catch(() => null)

  before(() => ground().ff.baking.start())
  after(() => rm(directory, { recursive: true, force: true }))

  test('what is baked ahead becomes files, without anybody asking', async () => {
    await waitFor('the file', async () => (await file('article/slug-1.html')) === '<h1>title 1</h1>')
    await waitFor('the other', async () => (await file('article/slug-2.html')) === '<h1>title 2</h1>')
  })

  test('a commit is in the file soon, and a page that is gone has none', async () => {
    await ground().outside.query(`update articles set title = 'new' where slug = 'slug-1'`)
    await waitFor('the new file', async () => (await file('article/slug-1.html')) === '<h1>new</h1>')
    await ground().outside.query(`delete from articles where slug = 'slug-2'`)
    await waitFor('no file', async () => (await file('article/slug-2.html')) === null)
  })

  test('its pages carry the keys by which the edge files them', async () => {
    const { pages } = ground().ff
    const match = pages.match({ method: 'GET', url: '/article/slug-1' })!
    const found = await pages.find(match, new Scope({ level: 'session', reader: null }))
    const { headers } = found!.page.document
    const keys = headers[headers.indexOf('xkey') + 1]
    assert.equal(keys, `${pageKey('/article/slug-1')} ${routeKey('/article/:slug')}`)
  })
})

suite('pages that a web server hands out', () => {
  const root = newDirectory('ff-published-')
  const ground = bakerGround({ pages: [every] })
  const file = async (name: string): Promise<string | null> =>
    readFile(join(await root, name), 'utf8').catch(() => null)

  before(
    async () =>
      void (await ground().worker({ baking: { backlog: 5 }, define: { publish: { directory: await root } } })),
  )
  after(async () => rm(await root, { recursive: true, force: true }))

  test('a change of more than may wait is in all files in the end, though nobody asks', async () => {
    const titles = async (): Promise<Set<string | null>> =>
      new Set(await Promise.all(Array.from({ length: 100 }, (_, at) => file(`article/slug-${at + 1}.html`))))
    await waitFor('all files', async () => !(await titles()).has(null))
    await ground().until('it is quiet', ({ waiting }) => waiting === 0)
    await ground().outside.query(`update articles set title = 'bulk'`)
    const { left } = await ground().until('some are left', (now) => now.left > 0)
    assert.ok(left > 50, `${left} were left`)
    await waitFor('all are new', async () => (await titles()).size === 1)
    assert.deepEqual([...(await titles())], ['<h1>bulk</h1>'])
  })
})
