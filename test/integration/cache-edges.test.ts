/** What an app does by mistake, or its users on purpose. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { CamelCasePlugin, type Kysely } from 'kysely'

import { defineObject } from '../../src/cache/define-object.ts'
import { cacheGround, untilKept } from '../support/cache-app.ts'
import { waitFor } from '../support/wait-for.ts'

const rejectsWith = (code: string) => (error: unknown) => (error as { code?: string }).code === code

suite('the cache at its edges', () => {
  const ground = cacheGround()

  test('a word of the clock that a user typed is no error, and its answer is not kept', async () => {
    const ada = ground().reader('ada')
    const search = (name: string): Promise<unknown[]> =>
      ada.cache.query('select id from users where lower(name) = $1', [name])
    assert.deepEqual(await search('now'), [])
    assert.deepEqual(await search('user 1'), [{ id: 1 }])
    await waitFor('the other is kept', async () => {
      const before = ada.cache.metrics()['query']!.hits.memory
      await search('user 1')
      return ada.cache.metrics()['query']!.hits.memory > before
    })
    const before = ada.cache.metrics()['query']!.loads
    await search('now')
    await search('now')
    assert.equal(ada.cache.metrics()['query']!.loads, before + 2)
  })

  test('rows for those who may change them are not the rows of everybody', async () => {
    const ada = ground().reader('ada')
    const text = 'select id, name from users where id = 2'
    await waitFor('both are kept', async () => {
      const before = ada.cache.metrics()['query']!.hits.memory
      const copies = await ada.cache.query<{ name: string }>(text, [], { values: 'cloned' })
      copies[0]!.name = 'changed'
      const rows = await ada.cache.query<{ name: string }>(text, [])
      assert.equal(rows[0]!.name, 'user 2')
      if (ada.cache.metrics()['query']!.hits.memory < before + 2) return false
      assert.ok(Object.isFrozen(rows))
      return true
    })
  })

  test('an object made of one with a time to live ends with it', async () => {
    const ada = ground().reader('ada')
    let asked = 0
    const clock = defineObject<string, number>({ name: 'clock', ttl: 300, load: async () => (asked += 1) })
    const hours = defineObject<string, string>({ name: 'hours', load: async ({ use }) => `${await use(clock, 'x')} h` })
    assert.equal(await ada.cache.get(hours, 'x'), '1 h')
    assert.equal(await ada.cache.get(hours, 'x'), '1 h')
    await waitFor('it is over', async () => (await ada.cache.get(hours, 'x')) === '2 h')
  })

  test('a batch that answers for keys of another type is named, not taken for nothing', async () => {
    const ada = ground().reader('ada')
    const byText = defineObject<number, string>({
      name: 'by-text',
      load: async () => 'one',
      loadMany: async (_, ids) => new Map(ids.map((id) => [String(id), 'one'])) as never,
      ttl: '1m',
    })
    await assert.rejects(ada.cache.getMany(byText, [1, 2]), rejectsWith('FF_CACHE_LOAD_KEYS'))
    const byRecord = defineObject<{ id: number }, string>({
      name: 'by-record',
      load: async () => 'one',
      loadMany: async (_, keys) => new Map(keys.map(({ id }) => [{ id }, 'one'])),
      ttl: '1m',
    })
    await assert.rejects(ada.cache.getMany(byRecord, [{ id: 1 }, { id: 2 }]), rejectsWith('FF_CACHE_LOAD_KEYS'))
    const sparse = defineObject<number, string>({
      name: 'sparse',
      load: async () => null,
      loadMany: async () => new Map([[3, 'three']]),
      ttl: '1m',
    })
    assert.deepEqual(await ada.cache.getMany(sparse, [1, 2]), [null, null])
  })

  test('a value that is not kept is as frozen as one that is, and refused for the same reasons', async () => {
    const ada = ground().reader('ada')
    const of = (name: string, value: () => unknown): any =>
      defineObject<string, any>({
        name,
        load: async ({ main }: any) => {
          // A table that nobody has read yet has to join the publication first.
          await main.selectFrom('follows').selectAll().where('follower', '=', 1).execute()
          return value()
        },
      })
    const plain = of('plain', () => ({ list: [1] }))
    const first: any = await ada.cache.get(plain, 'x')
    assert.equal((await ada.cache.explain(plain, 'x')).verdict, 'absent')
    assert.throws(() => first.list.push(2), TypeError)
    await assert.rejects(
      ada.cache.get(
        of('callable', () => ({ of: () => 1 })),
        'x',
      ),
      rejectsWith('FF_CACHE_VALUE'),
    )
    await ada.databases.main.transaction().execute(async (trx) => {
      const inside: any = await ada.cache.get(plain, 'x', { in: trx })
      assert.throws(() => inside.list.push(2), TypeError)
    })
  })

  test("a cursor is refused in a load: it would read on when its connection is another load's", async () => {
    const ada = ground().reader('ada')
    const cursor = { text: 'select 1', submit: () => assert.fail('it ran') }
    const load = async ({ main }: any): Promise<unknown> => await main.pool.query(cursor)
    const streamed = defineObject<string, any>({ name: 'streamed', load })
    await assert.rejects(ada.cache.get(streamed, 'x'), rejectsWith('FF_CACHE_LOAD_WRITES'))
  })

  test('rows come as the plugins of the instance make them', async () => {
    const ada = ground().reader('ada')
    const main = ada.databases.main.withPlugin(new CamelCasePlugin()) as Kysely<any>
    const read = (): Promise<any[]> =>
      ada.cache.query(main.selectFrom('articles').select(['slug', 'authorId']).where('id', '=', 3))
    assert.deepEqual(await read(), [{ slug: 'slug-3', authorId: 4 }])
    await waitFor('they are kept', async () => {
      const before = ada.cache.metrics()['query']!.hits.memory
      assert.deepEqual(await read(), [{ slug: 'slug-3', authorId: 4 }])
      return ada.cache.metrics()['query']!.hits.memory > before
    })
    const snake = ada.databases.main.selectFrom('articles').select(['slug', 'author_id']).where('id', '=', 3)
    assert.deepEqual(await ada.cache.query(snake), [{ slug: 'slug-3', author_id: 4 }])
  })

  test('objects that use each other are named inside a transaction too', async () => {
    const { ff } = ground()
    const load =
      (of: () => any) =>
      async ({ use }: any, key: number): Promise<unknown> =>
        await use(of(), key)
    const one: any = defineObject<number, any>({ name: 'one', load: load(() => two) })
    const two: any = defineObject<number, any>({
      name: 'two',
      load: load(() => one),
      loadMany: async ({ useMany }: any, keys) => await useMany(two, keys),
    })
    await ff.databases.main.transaction().execute(async (trx) => {
      await assert.rejects(ff.cache.get(one, 1, { in: trx }), rejectsWith('FF_CACHE_CYCLE'))
      await assert.rejects(ff.cache.getMany(two, [1, 2], { in: trx }), rejectsWith('FF_CACHE_CYCLE'))
    })
  })

  test('a touched name ends what depends on it, whatever it is made of', async () => {
    const ada = ground().reader('ada')
    let state = 'before'
    const odd = defineObject<string, string>({
      name: 'odd',
      load: async ({ dependsOn }, name) => {
        dependsOn(name)
        return state
      },
    })
    for (const name of ['\ud800', 'é 🦊', '__proto__']) {
      await untilKept(ada, odd, name)
      state = `after ${name}`
      await ada.cache.touch(name)
      assert.equal(await ada.cache.get(odd, name), state)
    }
  })
})
