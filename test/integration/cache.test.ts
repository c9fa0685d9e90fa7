import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { CompiledQuery, sql } from 'kysely'

import { define } from '../../src/app/define.ts'
import { defineObject } from '../../src/cache/define-object.ts'
import { cacheGround, countedObjects, untilKept, User } from '../support/cache-app.ts'
import { waitFor } from '../support/wait-for.ts'

const rejectsWith = (code: string) => (error: unknown) => (error as { code?: string }).code === code

suite('cached objects', () => {
  const { loads, user, article, byAuthor } = countedObjects()
  const ground = cacheGround([user, article, byAuthor])

  test('a load runs once, and again when a row that it read has changed', async () => {
    const { reader } = ground()
    const ada = reader('ada')
    await untilKept(ada, article, 'slug-1')
    const before = loads.article
    for (let read = 0; read < 20; read += 1) await ada.cache.get(article, 'slug-1')
    assert.equal(loads.article, before)
    await ada.databases.main.updateTable('articles').set({ title: 'new' }).where('slug', '=', 'slug-1').execute()
    assert.equal((await ada.cache.get(article, 'slug-1'))?.title, 'new')
    assert.equal(loads.article, before + 1)
  })

  test('rows that it did not read end nothing', async () => {
    const { reader } = ground()
    const ada = reader('ada')
    await untilKept(ada, article, 'slug-2')
    const before = loads.article
    for (let round = 0; round < 5; round += 1) {
      await ada.databases.main
        .updateTable('articles')
        .set({ title: `t${round}` })
        .where('slug', '=', 'slug-3')
        .execute()
      // Until this process knows of her write nothing is said to be as fresh; on a busy machine that takes its time.
      await untilKept(ada, user, 1)
      await ada.cache.get(article, 'slug-2')
    }
    assert.equal(loads.article, before)
  })

  test('a nested object ends the one that uses it', async () => {
    const { reader } = ground()
    const ada = reader('ada')
    await untilKept(ada, article, 'slug-4')
    const found = await ada.cache.get(article, 'slug-4')
    assert.ok(found?.author instanceof User)
    await ada.databases.main.updateTable('users').set({ name: 'Ada' }).where('id', '=', found.author.id).execute()
    assert.equal((await ada.cache.get(article, 'slug-4'))?.author?.greet(), 'I am Ada')
  })

  test('null is an answer, and ends when the row appears', async () => {
    const { reader } = ground()
    const ada = reader('ada')
    await untilKept(ada, user, 900)
    assert.equal(await ada.cache.get(user, 900), null)
    await ada.databases.main.insertInto('users').values({ id: 900, name: 'late' }).execute()
    assert.equal((await ada.cache.get(user, 900))?.name, 'late')
    await ada.databases.main.deleteFrom('users').where('id', '=', 900).execute()
    assert.equal(await ada.cache.get(user, 900), null)
  })

  test('a row that moves from one key to another ends both', async () => {
    const { reader } = ground()
    const ada = reader('ada')
    await untilKept(ada, byAuthor, 21)
    await untilKept(ada, byAuthor, 22)
    await ada.databases.main.insertInto('articles').values({ id: 500, slug: 'm', author_id: 21, title: 't' }).execute()
    assert.deepEqual(await ada.cache.get(byAuthor, 21), ['m'])
    await ada.databases.main.updateTable('articles').set({ author_id: 22 }).where('id', '=', 500).execute()
    assert.deepEqual([await ada.cache.get(byAuthor, 21), await ada.cache.get(byAuthor, 22)], [[], ['m']])
  })

  test('a strict reader sees what was written outside the app', async () => {
    const { ff, outside } = ground()
    const strict = ff.as({ reader: 'bob', level: 'strict' })
    await untilKept(strict, user, 5)
    for (let round = 0; round < 20; round += 1) {
      await outside.query('update users set name = $1 where id = 5', [`round ${round}`])
      assert.equal((await strict.cache.get(user, 5))?.name, `round ${round}`)
    }
  })

  test('other readers see it soon', async () => {
    const { ff, outside, reader } = ground()
    const eventual = ff.as({ reader: 'eve', level: 'eventual' })
    await untilKept(eventual, user, 6)
    await outside.query(`update users set name = 'outside' where id = 6`)
    await waitFor('the change', async () => (await eventual.cache.get(user, 6))?.name === 'outside')
    assert.equal((await reader('ada').cache.get(user, 6))?.name, 'outside')
  })

  test('TRUNCATE and DDL end what was read', async () => {
    const { ff, outside } = ground()
    const strict = ff.as({ reader: 'bob', level: 'strict' })
    await outside.query('create table notes (id int primary key, text text); insert into notes values (1, $$a$$)')
    const note = define<{ main: any }>().defineObject<number, Record<string, unknown>>({
      name: 'note',
      load: async ({ main }, id) =>
        (await main.selectFrom('notes').selectAll().where('id', '=', id).executeTakeFirst()) ?? null,
    })
    const kept = (): Promise<unknown> =>
      waitFor('the note is kept', async () => {
        await strict.cache.get(note, 1)
        return (await strict.cache.explain(note, 1)).verdict === 'fresh'
      })
    await kept()
    await outside.query(`alter table notes add column extra text default 'x'`)
    assert.deepEqual(await strict.cache.get(note, 1), { id: 1, text: 'a', extra: 'x' })
    await kept()
    await outside.query(`alter table notes alter column id type text using 'n' || id`)
    assert.equal(await strict.cache.get(note, 1).catch(() => null), null)
    await outside.query(
      'drop table notes; create table notes (id int primary key, text text); insert into notes values (1, $$b$$)',
    )
    assert.deepEqual(await strict.cache.get(note, 1), { id: 1, text: 'b' })
    await kept()
    await outside.query('truncate notes')
    assert.equal(await strict.cache.get(note, 1), null)
  })

  test('what is rolled back is never seen, and what is not committed is seen inside only', async () => {
    const { reader } = ground()
    const ada = reader('ada')
    await untilKept(ada, user, 7)
    const name = (await ada.cache.get(user, 7))?.name
    await assert.rejects(
      ada.databases.main.transaction().execute(async (trx) => {
        await trx.updateTable('users').set({ name: 'never' }).where('id', '=', 7).execute()
        assert.equal((await ada.cache.get(user, 7, { in: trx }))?.name, 'never')
        assert.equal((await ada.cache.get(article, 'slug-6', { in: trx }))?.author?.name, 'never')
        throw new Error('no')
      }),
    )
    assert.equal((await ada.cache.get(user, 7))?.name, name)
    assert.equal((await ada.cache.get(article, 'slug-6'))?.author?.name, name)
  })

  test('several at once cost one load, and keep their order', async () => {
    const { reader } = ground()
    const ada = reader('ada')
    await untilKept(ada, user, 10)
    const before = loads.user
    const found = await ada.cache.getMany(user, [12, 11, 999, 12])
    assert.deepEqual(
      found.map((one) => one?.id),
      [12, 11, undefined, 12],
    )
    assert.equal(loads.user, before + 1)
    await ada.cache.getMany(user, [12, 11, 999])
    assert.equal(loads.user, before + 1)
    // One row of the batch changed: the others are kept.
    await ada.databases.main.updateTable('users').set({ name: 'x' }).where('id', '=', 11).execute()
    assert.deepEqual(
      (await ada.cache.getMany(user, [12, 11])).map((one) => one?.name),
      ['user 12', 'x'],
    )
    assert.equal(loads.user, before + 2)
    assert.equal((await ada.cache.explain(user, 12)).lastMiss?.reason ?? 'absent', 'absent')
  })

  test('a hundred readers of one key that nobody has cost one load', async () => {
    const { reader } = ground()
    const ada = reader('ada')
    await untilKept(ada, user, 20)
    const before = loads.user
    await Promise.all(Array.from({ length: 100 }, () => ada.cache.get(user, 21)))
    assert.equal(loads.user, before + 1)
  })

  test('values cannot be changed by who reads them', async () => {
    const ada = ground().reader('ada')
    const found = await ada.cache.get(article, 'slug-9')
    assert.throws(() => {
      ;(found as { title: string }).title = 'mine'
    }, TypeError)
  })

  test('instances of any class that is named come back as such, and others are refused', async () => {
    const ada = ground().reader('ada')
    class Money {
      readonly cents: number
      constructor(cents: number) {
        this.cents = cents
      }
    }
    const load = async ({ main }: any): Promise<{ price: Money }> => {
      await main.selectFrom('users').select('id').where('id', '=', 1).execute()
      return { price: new Money(5) }
    }
    const priced = defineObject<string, { price: Money }>({ name: 'priced', classes: { Money }, load })
    await waitFor('kept', async () => {
      await ada.cache.get(priced, 'x')
      return (await ada.cache.explain(priced, 'x')).verdict === 'fresh'
    })
    assert.ok((await ada.cache.get(priced, 'x'))?.price instanceof Money)
    class Stranger {
      readonly unknown = true
    }
    const strange = async (tools: any): Promise<object> => ({ ...(await load(tools)), stranger: new Stranger() })
    const unnamed = defineObject<string, object>({ name: 'unnamed', load: strange })
    await assert.rejects(ada.cache.get(unnamed, 'x'), rejectsWith('FF_CACHE_VALUE'))
  })

  test('a touched name ends what depends on it', async () => {
    const { reader } = ground()
    const ada = reader('ada')
    let weather = 'sun'
    let asked = 0
    const forecast = defineObject<string, string>({
      name: 'forecast',
      load: async ({ dependsOn }, place) => {
        asked += 1
        dependsOn(`weather ${place}`)
        return weather
      },
    })
    await untilKept(ada, forecast, 'here')
    weather = 'rain'
    assert.equal(await ada.cache.get(forecast, 'here'), 'sun')
    await ada.cache.touch('weather here')
    assert.equal(await ada.cache.get(forecast, 'here'), 'rain')
    weather = 'snow'
    await ada.databases.main.transaction().execute((trx) => ada.cache.touch('weather here', { in: trx }))
    assert.equal(await ada.cache.get(forecast, 'here'), 'snow')
  })

  test('a time to live ends an answer that nothing else ends', async () => {
    const ada = ground().reader('ada')
    let asked = 0
    const clock = defineObject<string, number>({ name: 'clock', ttl: 300, load: async () => (asked += 1) })
    await ada.cache.get(clock, 'x')
    await ada.cache.get(clock, 'x')
    assert.equal(asked, 1)
    await waitFor('it is over', async () => (await ada.cache.get(clock, 'x')) === 2)
  })

  test('mistakes in a load are named', async () => {
    const ada = ground().reader('ada')
    const of = (name: string, load: any): any => defineObject<string, any>({ name, load })
    const get = (name: string, load: any): Promise<unknown> => ada.cache.get(of(name, load), 'x')
    await assert.rejects(
      get('nothing', async () => undefined),
      rejectsWith('FF_CACHE_UNDEFINED'),
    )
    await assert.rejects(
      get('constant', async () => 1),
      rejectsWith('FF_CACHE_NO_DEPENDENCY'),
    )
    const writes = ({ main }: any): Promise<unknown> =>
      main.insertInto('users').values({ id: 1000, name: 'x' }).execute()
    await assert.rejects(get('writes', writes), rejectsWith('FF_CACHE_LOAD_WRITES'))
    const transaction = ({ main }: any): Promise<unknown> => main.transaction().execute(async () => 1)
    await assert.rejects(get('transaction', transaction), rejectsWith('FF_CACHE_LOAD_WRITES'))
    const catalogue = ({ main }: any): Promise<unknown> =>
      main.executeQuery(CompiledQuery.raw('select count(*) from pg_class')).then((result: any) => result.rows)
    await assert.rejects(get('catalogue', catalogue), rejectsWith('FF_CACHE_UNCACHEABLE'))
    const now = ({ main }: any): Promise<unknown> => sql`select now() as now, id from users`.execute(main)
    await assert.rejects(get('now', now), rejectsWith('FF_CACHE_UNCACHEABLE'))
    const self: any = of('self', ({ use }: any, key: string) => use(self, key))
    await assert.rejects(ada.cache.get(self, 'x'), rejectsWith('FF_CACHE_CYCLE'))
    await assert.rejects(async () => ada.cache.get(user, { deep: { er: 1 } } as never), rejectsWith('FF_CACHE_KEY'))
    await assert.rejects(
      async () =>
        ada.cache.get(
          of('user', async () => 1),
          'x',
        ),
      rejectsWith('FF_CACHE_OBJECT'),
    )
  })
})

suite('cached queries', () => {
  const ground = cacheGround()

  test('are kept by text and parameters until what they read changes', async () => {
    const { reader, ff } = ground()
    const ada = reader('ada')
    const find = (author: number): Promise<{ slug: string }[]> =>
      ada.cache.query(
        ada.databases.main.selectFrom('articles').select('slug').where('author_id', '=', author).orderBy('slug'),
      )
    let other = 300
    await waitFor('what others write ends nothing', async () => {
      await find(1)
      const loaded = ff.cache.metrics()['query']?.loads
      await ada.databases.main
        .insertInto('articles')
        .values({ id: other, slug: `o${other++}`, author_id: 3, title: 't' })
        .execute()
      await find(1)
      return ff.cache.metrics()['query']?.loads === loaded
    })
    const before = ff.cache.metrics()['query']!.loads
    const first = await find(1)
    assert.equal(first.length, 10)
    await ada.databases.main.insertInto('articles').values({ id: 200, slug: 'a', author_id: 2, title: 't' }).execute()
    assert.deepEqual(await find(1), first)
    assert.equal(ff.cache.metrics()['query']!.loads, before)
    await ada.databases.main.insertInto('articles').values({ id: 201, slug: 'b', author_id: 1, title: 't' }).execute()
    assert.equal((await find(1)).length, 11)
    assert.equal((await find(2)).length, 11)
  })

  test('outlive changes of columns that they do not read, and of no others', async () => {
    const { reader, ff } = ground()
    const ada = reader('ada')
    const { main } = ada.databases
    const slugs = main.selectFrom('articles').select(['id', 'slug']).where('author_id', '>', 0).orderBy('slug')
    const set = async (change: { title?: string; author_id?: number; slug?: string }): Promise<void> =>
      void (await main.updateTable('articles').set(change).where('id', '=', 1).execute())
    const loads = (): number => ff.cache.metrics()['query']?.loads ?? 0
    const untilTitlesEndNothing = async (): Promise<void> => {
      await waitFor('a title ends nothing', async () => {
        await ada.cache.query(slugs)
        const before = loads()
        await set({ title: `t${Math.random()}` })
        await ada.cache.query(slugs)
        return loads() === before
      })
    }
    for (const change of [{ slug: 'aaa' }, { author_id: -1 }, { author_id: 1 }, { slug: 'slug-1' }]) {
      await untilTitlesEndNothing()
      const before = loads()
      await set(change)
      await ada.cache.query(slugs)
      assert.equal(loads(), before + 1, JSON.stringify(change))
    }
  })

  test('by text, counts over whole tables too', async () => {
    const { reader } = ground()
    const ada = reader('ada')
    const count = async (): Promise<number> =>
      (await ada.cache.query<{ count: number }>('select count(*)::int as count from users where id < $1', [1_000]))[0]!
        .count
    for (let round = 0; round < 10; round += 1) {
      const before = await count()
      await ada.databases.main
        .insertInto('users')
        .values({ id: 600 + round, name: 'x' })
        .execute()
      assert.equal(await count(), before + 1)
    }
  })

  test('how far a process knows the changes can be seen', async () => {
    const { ff, outside } = ground()
    await outside.query(`update users set name = 'seen' where id = 1`)
    const before = ff.cache.streams()['main']!.watermark
    await waitFor('it moves', async () => {
      await outside.query(`update users set name = 'again' where id = 1`)
      const { state, watermark, heardMsAgo, lagMs } = ff.cache.streams()['main']!
      return state === 'following' && watermark > before && heardMsAgo !== null && lagMs !== null
    })
  })

  test('what cannot be cached is refused by name', async () => {
    const { reader } = ground()
    const ada = reader('ada')
    await assert.rejects(ada.cache.query('update users set id = id'), rejectsWith('FF_CACHE_LOAD_WRITES'))
    await assert.rejects(
      ada.cache.query('select 1 as one from users where name = $1', [new Map()]),
      rejectsWith('FF_CACHE_QUERY'),
    )
    await assert.rejects(ada.cache.query({} as never), rejectsWith('FF_CACHE_QUERY'))
    await ada.databases.main.transaction().execute(async (trx) => {
      await assert.rejects(ada.cache.query(trx.selectFrom('users').selectAll()), rejectsWith('FF_CACHE_IN_TRANSACTION'))
    })
  })
})
