/** Workers bake pages ahead of demand, and again when a row that they show changes: each page once in the whole cluster. */

import assert from 'node:assert/strict'
import { before, suite, test } from 'node:test'

import { defineObject } from '../../src/cache/define-object.ts'
import { giveOrder, readProgress, type Order } from '../../src/pages/baker/orders.ts'
import { definePage } from '../../src/pages/define-page.ts'
import { followVisits, Visits, type Visited } from '../../src/pages/visits.ts'
import { silentLogger } from '../../src/core/log.ts'
import { bakerGround, RenderCounts } from '../support/baker-ground.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Fourfold } from '../../src/app/fourfold.ts'

/** Of all processes. */
const renders = new RenderCounts()
let failing: string | null = null

const article = definePage({
  path: '/article/:slug',
  params: async ({ main }: any) => await main.selectFrom('articles').select('slug').orderBy('id').execute(),
  render: async ({ main, notFound }: any, { slug }) => {
    renders.add(slug)
    if (failing === slug) throw new Error('no butter')
    const row = await main.selectFrom('articles').selectAll().where('slug', '=', slug).executeTakeFirst()
    if (row === undefined) return notFound()
    const author = await main.selectFrom('users').selectAll().where('id', '=', row.author_id).executeTakeFirst()
    return `<h1>${row.title}</h1><p>${author.name}</p>`
  },
})
/** Baked when somebody has asked for it. */
const follows = definePage({
  path: '/follows/:id',
  render: async ({ main, notFound }: any, { id }) => {
    renders.add(`follows ${id}`)
    const rows = await main.selectFrom('follows').selectAll().where('follower', '=', Number(id)).execute()
    return rows.length === 0 ? notFound() : `<h1>${rows.length}</h1>`
  },
})
const clock = definePage({
  path: '/clock',
  schedule: '* * * * * *',
  params: [{}],
  ttl: '1h',
  render: () => {
    renders.add('clock')
    return `<h1>${Date.now()}</h1>`
  },
})
const author = defineObject<number, string>({
  name: 'author',
  bake: true,
  load: async ({ main }: any, id) => {
    renders.add(`author ${id}`)
    return (await main.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst())?.name ?? null
  },
})

suite('pages are baked ahead', () => {
  const ground = bakerGround({ pages: [article, follows], objects: [author] })
  const workers: Fourfold<any>[] = []
  const quiet = (): Promise<void> => renders.quiet(ground())
  const baked = (slug: string): Promise<string | null> => renders.found(ground().ff, `/article/${slug}`, slug)
  const bake = async (
    order: Omit<Order, 'id'>,
  ): Promise<{ baked: number; failed: number; errors: readonly string[] }> => {
    const { store } = ground().ff
    const given = { id: String(Math.random()), ...order }
    await giveOrder(store, '', given)
    return await waitFor('the order is carried out', async () => {
      const progress = await readProgress(store, '', given)
      return progress?.done === true ? progress : null
    })
  }

  before(async () => {
    for (let count = 0; count < 3; count += 1) workers.push(await ground().worker())
    await ground().until(
      'all are baked',
      ({ workers: live, entries, waiting }) => live === 3 && entries >= 100 && waiting === 0,
    )
    await quiet()
  })

  test('all that is listed, before anybody asks, and each known exactly', async () => {
    assert.equal(renders.counts.size, 100)
    // What was baked before its table was watched is baked again.
    assert.ok(renders.total < 160, `${renders.total} renders`)
    for (const slug of [...renders.counts.keys()])
      assert.match((await baked(slug)) ?? 'not baked', /<h1>title \d+<\/h1>/)
  })

  test('a row that changes causes one bake of each page that shows it, and none of others', async () => {
    const { outside } = ground()
    renders.clear()
    await outside.query(`update users set name = 'Ada' where id = 5`)
    const { rows } = await outside.query<{ slug: string }>('select slug from articles where author_id = 5')
    await waitFor('all are baked', () => renders.counts.size === rows.length)
    await quiet()
    assert.deepEqual(Object.fromEntries(renders.counts), Object.fromEntries(rows.map(({ slug }) => [slug, 1])))
    for (const { slug } of rows) assert.match((await baked(slug)) ?? 'not baked', /<p>Ada<\/p>/)
  })

  test('changes that come fast are taken together, and the last one is baked', async () => {
    const { outside } = ground()
    renders.clear()
    for (let count = 1; count <= 100; count += 1)
      await outside.query(`update articles set title = 'burst ${count}' where slug = 'slug-7'`)
    await waitFor('the last one', async () => (await baked('slug-7'))?.includes('<h1>burst 100</h1>'))
    await quiet()
    assert.deepEqual([...renders.counts.keys()], ['slug-7'])
    assert.ok(renders.total < 15, `${renders.total} renders of 100 changes`)
  })

  test('a bake that fails keeps the page, is shown, and is tried again', async (t) => {
    const { outside, ff, status } = ground()
    await outside.query(`update articles set title = 'right' where slug = 'slug-8'`)
    await waitFor('it is baked', async () => (await baked('slug-8'))?.includes('<h1>right</h1>'))
    t.after(() => (failing = null))
    failing = 'slug-8'
    await outside.query(`update articles set title = 'wrong' where slug = 'slug-8'`)
    const shown = await ground().until('it is shown', ({ failures }) => failures.length > 0)
    assert.deepEqual(
      shown.failures.map(({ what, error }) => [what, error]),
      [['/article/slug-8', 'no butter']],
    )
    const found = await ff.pages.find(
      ff.pages.routes.match('/article/slug-8')!,
      ff.as({ reader: 'a', level: 'session' }).scope,
    )
    assert.equal(found?.from, 'failed')
    assert.match(String(found?.page.answer({ method: 'GET', headers: {} }).body), /<h1>right</)
    assert.equal((await bake({ kind: 'one', path: '/article/slug-8' })).failed, 1)
    failing = null
    await waitFor('it is baked', async () => (await baked('slug-8'))?.includes('<h1>wrong</h1>'))
    await ground().until('nothing fails', (now) => now.failing === 0)
    assert.equal((await status()).failures.length, 0)
  })

  test('what comes into the list is baked, and what is deleted is a 404 at once', async () => {
    const { outside, ff } = ground()
    await outside.query(`insert into articles values (900, 'new', 1, 'came later')`)
    await waitFor('it is baked', async () => renders.counts.has('new') && (await baked('new'))?.includes('came later'))
    await quiet()
    await outside.query(`delete from articles where slug = 'new'`)
    const strict = ff.as({ level: 'strict' })
    const gone = await ff.pages.find(ff.pages.routes.match('/article/new')!, strict.scope)
    assert.equal(gone?.page.document.status, 404)
    await ground().until('it is forgotten', ({ entries }) => entries === 100)
  })

  test('a page that somebody asked for once is baked from then on, until it is gone', async () => {
    const { outside, ff } = ground()
    const find = () =>
      ff.pages.find(ff.pages.routes.match('/follows/3')!, ff.as({ reader: 'f', level: 'session' }).scope)
    await outside.query('insert into follows values (3, 4), (3, 5)')
    await waitFor('it is kept', async () => {
      await find()
      return (await ground().status()).entries === 101
    })
    await quiet()
    renders.clear()
    await outside.query('insert into follows values (3, 6)')
    await waitFor('it is baked', () => renders.total > 0)
    await quiet()
    assert.deepEqual([...renders.counts], [['follows 3', 1]])
    await outside.query('delete from follows')
    await ground().until('it is forgotten', ({ entries }) => entries === 100)
  })

  test('an object that is baked is loaded again with no reader', async () => {
    const { outside, ff } = ground()
    const ada = ff.as({ reader: 'ada', level: 'session' })
    await waitFor('it is kept', async () => {
      await ada.cache.get(author, 9)
      return (await ground().status()).entries === 101
    })
    await quiet()
    renders.clear()
    await outside.query(`update users set name = 'Grace' where id = 9`)
    await waitFor('it is loaded', () => renders.counts.get('author 9') === 1)
    await quiet()
    assert.equal(renders.counts.get('author 9'), 1)
    assert.equal(await ada.cache.get(author, 9), 'Grace')
    assert.equal(renders.counts.get('author 9'), 1)
  })

  test('what the tier has lost is over, and put there by an order', async () => {
    const { ff, tier } = ground()
    const ids = ['slug-21', 'slug-22'].map((slug) => ff.pages.routes.match(`/article/${slug}`)!.id)
    renders.clear()
    for (const id of ids) await tier.delete(id)
    await bake({ kind: 'over' })
    await waitFor('both are there', async () => (await tier.getMany(ids)).every((bytes) => bytes !== null))
    assert.deepEqual(Object.fromEntries(renders.counts), { 'slug-21': 1, 'slug-22': 1 })
  })

  test('orders: one address, all, and what is over', async () => {
    renders.clear()
    assert.deepEqual(await bake({ kind: 'one', path: '/article/slug-11' }).then(({ baked: count }) => count), 1)
    assert.deepEqual([...renders.counts], [['slug-11', 1]])
    assert.match((await bake({ kind: 'one', path: '/nowhere' })).errors.join(), /no page is \/nowhere/)
    renders.clear()
    assert.equal((await bake({ kind: 'over' })).baked, 0)
    assert.equal((await bake({ kind: 'all' })).baked, 101)
    assert.ok([...renders.counts.values()].every((count) => count === 1))
    assert.equal(renders.counts.size, 101)
    renders.clear()
    await ground().outside.query(
      `insert into articles select n, 'late-' || n, 1, 'late' from generate_series(801, 820) n`,
    )
    assert.equal((await bake({ kind: 'all' })).baked, 121, 'rows of a moment ago are listed first')
    assert.ok(Array.from({ length: 20 }, (_, at) => `late-${801 + at}`).every((slug) => renders.counts.has(slug)))
  })
})

suite('workers come and go', () => {
  const ground = bakerGround({ pages: [article, clock] })
  const quiet = (): Promise<void> => renders.quiet(ground(), ['clock'])
  const baked = (slug: string): Promise<string | null> => renders.found(ground().ff, `/article/${slug}`, slug)
  let second: Fourfold<any>

  test('what is over while none lives is baked by the next one', async () => {
    const { ff, worker, outside, tier, until } = ground()
    const first = await worker()
    await until('all are baked', ({ entries, waiting }) => entries >= 101 && waiting === 0)
    await quiet()
    await first.close()
    await until('none is left', ({ workers }) => workers === 0)
    renders.clear()
    await outside.query(`update articles set title = 'over' where slug in ('slug-1', 'slug-2')`)
    assert.equal(renders.counts.get('slug-1'), undefined)
    // Neither does anybody notice what the tier loses.
    await tier.delete(ff.pages.routes.match('/article/slug-3')!.id)
    second = await worker({ baking: { backlog: 5, atOnce: 1 } })
    await waitFor('what is over or lost is baked', () => [1, 2, 3].every((id) => renders.counts.has(`slug-${id}`)))
    await quiet()
    assert.match((await baked('slug-1')) ?? 'not baked', /<h1>over</)
    assert.deepEqual(renders.without('clock'), { 'slug-1': 1, 'slug-2': 1, 'slug-3': 1 })
  })

  test('by the clock, once in the cluster', async () => {
    const { worker, until } = ground()
    const third = await worker()
    await until('two live', ({ workers }) => workers === 2)
    renders.clear()
    const began = Date.now()
    await waitFor('three ticks', () => (renders.counts.get('clock') ?? 0) >= 3)
    const ticks = Math.ceil((Date.now() - began) / 1000) + 1
    assert.ok(renders.counts.get('clock')! <= ticks, `${renders.counts.get('clock')} renders in ${ticks} ticks`)
    await third.close()
    await until('one lives', ({ workers }) => workers === 1)
  })

  test('after a bulk change no more than the backlog is baked ahead, what is asked for most, and the rest on demand', async (t) => {
    const { outside, ff, until } = ground()
    await until('it has all', ({ entries, waiting }) => entries >= 101 && waiting === 0)
    // As those do who answer them from memory.
    const visits = new Visits({ store: ff.store, build: '', log: silentLogger, everyMs: 10 })
    t.after(() => visits.close())
    const told = new Set<string>()
    const hear = (some: readonly Visited[]): void => some.forEach(([id]) => told.add(id))
    t.after(followVisits({ store: ff.store, build: '', log: silentLogger, hear }))
    const asked = ['slug-61', 'slug-62', 'slug-99']
    await waitFor('the visits are told', () => {
      for (const slug of asked) {
        for (let count = 0; count < 1_000; count += 1) visits.add(ff.pages.routes.match(`/article/${slug}`)!.id)
      }
      return told.size >= asked.length
    })
    await quiet()
    renders.clear()
    await outside.query(`update articles set title = 'bulk'`)
    await waitFor('some are baked', () => renders.total > 1)
    await quiet()
    const ahead = Object.keys(renders.without('clock'))
    assert.ok(ahead.length >= 5 && ahead.length <= 7, `${ahead.length} were baked ahead`)
    for (const slug of asked) assert.ok(ahead.includes(slug), `${slug} is not among ${ahead.join()}`)
    const reader = ff.as({ level: 'strict' })
    for (let id = 1; id <= 100; id += 1) {
      const found = await ff.pages.find(ff.pages.routes.match(`/article/slug-${id}`)!, reader.scope)
      assert.match(String(found!.page.answer({ method: 'GET', headers: {} }).body), /<h1>bulk</)
    }
    renders.clear()
    await outside.query(`update articles set title = 'after bulk' where slug = 'slug-50'`)
    await waitFor('one is baked', () => renders.counts.has('slug-50'))
    await second.close()
  })
})
