/** Publishing of an app: from a commit to the file, by the process that bakes. */

import assert from 'node:assert/strict'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'

import { definePage } from '../../src/pages/define-page.ts'
import { pageKey, routeKey } from '../../src/pages/publish/edge/surrogate-keys.ts'
import { Scope } from '../../src/freshness/scope.ts'
import { cacheGround } from '../support/cache-app.ts'
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
