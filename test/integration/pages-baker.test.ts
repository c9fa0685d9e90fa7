/** Workers bake pages ahead of demand, and again when a row that they show changes: each page once in the whole cluster. */

import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'

import { definePage } from '../../src/pages/define-page.ts'
import { bakerGround } from '../support/baker-ground.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Fourfold } from '../../src/app/fourfold.ts'

/** How often each was rendered, in all processes. */
const renders = new Map<string, number>()
let failing: string | null = null

const article = definePage({
  path: '/article/:slug',
  params: async ({ main }: any) => await main.selectFrom('articles').select('slug').orderBy('id').execute(),
  render: async ({ main, notFound }: any, { slug }) => {
    renders.set(slug, (renders.get(slug) ?? 0) + 1)
    if (failing === slug) throw new Error('no butter')
    const row = await main.selectFrom('articles').selectAll().where('slug', '=', slug).executeTakeFirst()
    if (row === undefined) return notFound()
    const author = await main.selectFrom('users').selectAll().where('id', '=', row.author_id).executeTakeFirst()
    return `<h1>${row.title}</h1><p>${author.name}</p>`
  },
})

suite('pages are baked ahead', () => {
  const ground = bakerGround({ pages: [article] })
  const workers: Fourfold<any>[] = []

  /** What a clone finds without rendering; null where it would have to. */
  const baked = async (slug: string): Promise<string | null> => {
    const { ff } = ground()
    const before = renders.get(slug)
    const reader = ff.as({ reader: null, level: 'session' })
    const found = await ff.pages.find({ ...ff.pages.routes.match(`/article/${slug}`)! }, reader.scope)
    if (renders.get(slug) !== before) return null
    const answer = found!.page.answer({ method: 'GET', headers: {} })
    return answer.status === 200 ? String(answer.body) : String(answer.status)
  }
  const total = (): number => [...renders.values()].reduce((sum, count) => sum + count, 0)
  /** Until nothing has been rendered for a moment. */
  const quiet = async (): Promise<void> => {
    let last = total()
    let since = performance.now()
    await waitFor('nothing is rendered', async () => {
      if (total() !== last || (await ground().status()).waiting > 0) {
        last = total()
        since = performance.now()
      }
      return performance.now() - since > 700
    })
  }

  before(async () => {
    for (let count = 0; count < 3; count += 1) workers.push(await ground().worker())
    await ground().untilBaked(
      'all are baked',
      ({ workers: live, entries, waiting }) => live === 3 && entries >= 100 && waiting === 0,
    )
    await quiet()
  })

  test('all that is listed, before anybody asks, and known exactly', async () => {
    assert.equal(renders.size, 100)
    for (const slug of renders.keys()) assert.match((await baked(slug)) ?? 'not baked', /<h1>title \d+<\/h1>/)
  })

  test('a row that changes causes one bake of each page that shows it, and none of others', async () => {
    const { outside, ff } = ground()
    for (const worker of workers) assert.ok((await ground().status()).workers === 3, String(worker.scope.level))
    renders.clear()
    await outside.query(`update users set name = 'Ada' where id = 5`)
    const shows = (await ff.databases['main']!.pool.query('select slug from articles where author_id = 5')).rows.map(
      ({ slug }) => slug as string,
    )
    await waitFor('all are baked', () => renders.size === shows.length)
    await quiet()
    assert.deepEqual(Object.fromEntries(renders), Object.fromEntries(shows.map((slug) => [slug, 1])))
    for (const slug of shows) assert.match((await baked(slug)) ?? 'not baked', /<p>Ada<\/p>/)
  })
})
