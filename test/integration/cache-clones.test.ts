/** One cache in several processes: who loads, who waits, and what goes on when helpers are gone. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { define } from '../../src/app/define.ts'
import { Fills } from '../../src/cache/fills.ts'
import { FourfoldError } from '../../src/core/errors.ts'
import { cacheGround, countedObjects, untilKept, type CacheSchema } from '../support/cache-app.ts'
import { waitFor } from '../support/wait-for.ts'

const { defineObject } = define<{ main: CacheSchema }>()

suite('one cache in several clones', () => {
  // A thousand readers ask for their tokens at once, maybe beside other tests: who is not told in time loads for itself.
  const ground = cacheGround([], { config: { store: { deadline: '10s' } } })

  test('a thousand readers of a key that nobody has cost one load among three clones', async () => {
    const { clone } = ground()
    let loads = 0
    const objects = Array.from({ length: 3 }, () => slowUser(() => (loads += 1)))
    const clones = await Promise.all(objects.map((object) => clone([object])))
    for (const [at, ff] of clones.entries()) await untilKept(ff.as({ level: 'session' }), objects[at]!, 1)
    loads = 0
    const readers = Array.from({ length: 1_000 }, async (_, at) => {
      const ff = clones[at % 3]!.as({ reader: `reader ${at}`, level: 'session' })
      return await ff.cache.get(objects[at % 3]!, 7)
    })
    assert.ok((await Promise.all(readers)).every((user) => user?.name === 'user 7'))
    assert.equal(loads, 1)
  })

  test('an entry that one clone loaded serves the others, until it changes', async () => {
    const { clone, outside } = ground()
    const one = countedObjects()
    const two = countedObjects()
    const first = (await clone([one.article])).as({ reader: 'ada', level: 'session' })
    const second = (await clone([two.article])).as({ reader: 'ada', level: 'session' })
    await untilKept(first, one.article, 'slug-1')
    await untilKept(second, two.article, 'slug-1')
    await first.cache.get(one.article, 'slug-2')
    await waitFor('it stands in the second tier', async () => {
      await second.cache.get(two.article, 'slug-2')
      return second.cache.metrics()['article']!.hits.tier > 0
    })
    const before = two.loads.article
    await first.databases.main.updateTable('articles').set({ title: 'told' }).where('slug', '=', 'slug-2').execute()
    assert.equal((await second.cache.get(two.article, 'slug-2'))?.title, 'told')
    await outside.query(`update articles set title = 'outside' where slug = 'slug-2'`)
    const strict = second.as({ level: 'strict' })
    assert.equal((await strict.cache.get(two.article, 'slug-2'))?.title, 'outside')
    assert.ok(two.loads.article > before)
  })

  test('what is often read is loaded again before anybody asks', async () => {
    const { ff, outside } = ground()
    const { user, loads } = countedObjects()
    const ada = ff.as({ reader: 'ada', level: 'session', keepToken: true })
    await untilKept(ada, user, 9)
    for (let read = 0; read < 100; read += 1) await ada.cache.get(user, 9)
    const before = loads.user
    await outside.query(`update users set name = 'ahead' where id = 9`)
    await waitFor('it is loaded', () => loads.user > before)
    assert.equal((await ada.cache.get(user, 9))?.name, 'ahead')
    assert.equal(loads.user, before + 1)
  })

  test('what ends by the clock is loaded early when it is dear, and once', async () => {
    const { ff } = ground()
    let loads = 0
    const dear = defineObject<string, number>({
      name: 'dear',
      ttl: 400,
      load: async () => {
        await pause(100)
        return (loads += 1)
      },
    })
    await ff.cache.get(dear, 'x')
    const untilMs = Date.now() + 1_500
    let slowest = 0
    while (Date.now() < untilMs) {
      const began = performance.now()
      await ff.cache.get(dear, 'x')
      slowest = Math.max(slowest, performance.now() - began)
      await pause(2)
    }
    assert.ok(loads >= 3 && loads <= 12, `${loads} loads`)
    // Without loading ahead each end of its life makes somebody wait for all of a load.
    assert.ok(slowest < 100 || ff.cache.metrics()['dear']!.hits.memory > 100)
  })

  test('an eventual reader gets the previous value while one loads', async () => {
    const { ff, outside } = ground()
    let holds: Promise<void> | null = null
    let loads = 0
    const held = defineObject<number, string>({
      name: 'held',
      load: async ({ main }, id) => {
        loads += 1
        const row = await main.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
        await holds
        return row?.name ?? null
      },
    })
    const eventual = ff.as({ reader: 'eve', level: 'eventual' })
    await untilKept(eventual, held, 11)
    const { promise, resolve } = Promise.withResolvers<void>()
    holds = promise
    const before = loads
    await outside.query(`update users set name = 'next' where id = 11`)
    await waitFor('the load begins', async () => {
      assert.equal(await eventual.cache.get(held, 11), 'user 11')
      return loads > before
    })
    for (let read = 0; read < 10; read += 1) assert.equal(await eventual.cache.get(held, 11), 'user 11')
    assert.equal(loads, before + 1)
    resolve()
    await waitFor('the new value', async () => (await eventual.cache.get(held, 11)) === 'next')
  })

  test('a load that fails is not kept, and loads that fail one after the other are held back', async () => {
    const { ff } = ground()
    let fails = true
    let loads = 0
    const fragile = defineObject<number, string>({
      name: 'fragile',
      load: async ({ main }, id) => {
        loads += 1
        if (fails) throw Object.assign(new Error('no'), { retryable: true })
        const row = await main.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
        return row?.name ?? null
      },
    })
    for (let read = 0; read < 10; read += 1) await assert.rejects(ff.cache.get(fragile, 1), /no/)
    // A mistake in a load says nothing of the database.
    assert.equal(loads, 10)
    fails = false
    assert.equal(await ff.cache.get(fragile, 1), 'user 1')
  })

  test('loads that use each other do not wait for ever', async () => {
    const { ff } = ground()
    const one: any = defineObject<number, any>({
      name: 'one',
      load: async ({ use, main }: any, key) => {
        await main.selectFrom('users').select('id').where('id', '=', 1).execute()
        return await use(two, key)
      },
    })
    const two: any = defineObject<number, any>({
      name: 'two',
      load: async ({ use, main }: any, key) => {
        await main.selectFrom('users').select('id').where('id', '=', 1).execute()
        return await use(one, key)
      },
    })
    const both = await Promise.allSettled([ff.cache.get(one, 1), ff.cache.get(two, 1)])
    for (const result of both) {
      assert.equal(result.status, 'rejected')
      assert.equal((result as PromiseRejectedResult).reason.code, 'FF_CACHE_CYCLE')
    }
  })
})

suite('objects that use their own kind', () => {
  const ground = cacheGround([], {
    sql: 'create table nodes (id int primary key, parent int); insert into nodes select n, n / 2 from generate_series(1, 31) n',
  })

  const treeOf = (name: string, withLoop: boolean): any => {
    const read = async (tools: any, ids: readonly number[]): Promise<Map<number, any>> => {
      const rows = await tools.main
        .selectFrom('nodes')
        .select(['id', 'parent'])
        .where('parent', 'in', [...ids])
        .execute()
      const children = withLoop ? [...ids] : rows.map((row: any) => row.id)
      const found = new Map<number, number>(children.map((id: number, at: number) => [id, at]))
      const below = children.length === 0 ? [] : await tools.useMany(tree, children)
      const of = (id: number): any[] =>
        rows.filter((row: any) => row.parent === id).map((row: any) => below[found.get(row.id)!])
      return new Map(ids.map((id) => [id, { id, below: of(id) }]))
    }
    const tree: any = defineObject<number, any>({
      name,
      load: async (tools, id) => (await read(tools, [id])).get(id),
      loadMany: (tools, ids) => read(tools, ids),
    })
    return tree
  }

  test('a tree of them is loaded level by level', async () => {
    const { ff } = ground()
    const tree = treeOf('tree', false)
    const [one, two] = (await ff.cache.getMany(tree, [2, 3])) as any[]
    assert.deepEqual(
      one.below.map((child: any) => child.id),
      [4, 5],
    )
    assert.deepEqual(
      two.below[1].below.map((child: any) => child.id),
      [14, 15],
    )
  })

  test('a circle is named, also through batches', async () => {
    const { ff } = ground()
    await assert.rejects(
      ff.cache.getMany(treeOf('loop', true), [2, 3]),
      (error: any) => error.code === 'FF_CACHE_CYCLE',
    )
  })

  test('a load that never ends costs those who joined it its deadline, and no more', async () => {
    const fills = new Fills({ loadMs: 50 })
    const endless = fills.start('x', null, () => new Promise(() => undefined))
    await assert.rejects(fills.join(endless, null), (error: any) => error.code === 'FF_CORE_DEADLINE')
    assert.equal(fills.find('x'), null)
  })

  test('the database is left alone for a moment after it failed several loads, and tried again', async () => {
    let nowMs = 0
    const fills = new Fills({ nowMs: () => nowMs })
    const down = new FourfoldError('FF_DATABASE_UNAVAILABLE', 'down')
    const fail = (): Promise<never> => Promise.reject(down)
    for (let load = 0; load < 5; load += 1) await assert.rejects(fills.start(`${load}`, null, fail).done, down)
    const held = (error: any): boolean => error.code === 'FF_CACHE_BUSY'
    await assert.rejects(fills.start('held', null, fail).done, held)
    nowMs += 1_001
    await assert.rejects(fills.start('tried', null, fail).done, down)
    await assert.rejects(fills.start('held again', null, fail).done, held)
    nowMs += 1_001
    const filled = { value: 1, entry: null }
    assert.equal(await fills.start('back', null, () => Promise.resolve(filled)).done, filled)
    assert.equal(await fills.start('as ever', null, () => Promise.resolve(filled)).done, filled)
  })

  test('no more loads run at once than there are places, and who waits too long is told', async () => {
    const fills = new Fills({ atOnce: 1, waiting: 1, waitMs: 20 })
    const { promise, resolve } = Promise.withResolvers<{ value: number; entry: null }>()
    const first = fills.start('a', null, () => promise)
    const second = fills.start('b', null, () => promise)
    const busy = (error: any): boolean => error.code === 'FF_CACHE_BUSY'
    await assert.rejects(fills.start('c', null, () => promise).done, busy)
    await assert.rejects(second.done, busy)
    resolve({ value: 1, entry: null })
    await first.done
    assert.equal((await fills.start('d', null, () => promise).done).value, 1)
  })
})

function slowUser(onLoad: () => void) {
  return defineObject<number, { name: string }>({
    name: 'slow-user',
    version: 1,
    load: async ({ main }, id) => {
      onLoad()
      const row = await main.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
      await pause(50)
      return row ?? null
    },
  })
}
