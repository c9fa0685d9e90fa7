/** What is asked for is what it was when it was asked for, whatever becomes of the caller's arrays and records. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { define } from '../../src/app/define.ts'
import { cacheGround, untilKept, type CacheSchema } from '../support/cache-app.ts'

const { defineObject } = define<{ main: CacheSchema }>()

function names(name: string) {
  return defineObject<number, string>({
    name,
    load: async ({ main }, id) =>
      (await main.selectFrom('users').select('name').where('id', '=', id).executeTakeFirst())?.name ?? null,
    loadMany: async ({ main }, ids) => {
      const rows = await main
        .selectFrom('users')
        .selectAll()
        .where('id', 'in', [...ids])
        .execute()
      return new Map(rows.map((row) => [row.id, row.name]))
    },
    loadManyBy: 'id',
  })
}

const byRecord = defineObject<{ readonly id: number }, string>({
  name: 'by-record',
  load: async ({ main }, { id }) =>
    (await main.selectFrom('users').select('name').where('id', '=', id).executeTakeFirst())?.name ?? null,
})

suite('a caller who goes on with what they asked by', () => {
  const ground = cacheGround()

  test('an array of keys, of entries that are held', async () => {
    const { ff } = ground()
    const held = names('held-names')
    await untilKept(ff.as({ reader: 'ada', level: 'session' }), held, 1)
    const keys = [1]
    const first = ff.as({ reader: 'ada', level: 'session', keepToken: true }).cache.getMany(held, keys)
    keys[0] = 2
    assert.deepEqual(await first, ['user 1'])
    assert.equal(await ff.as({ reader: 'eve', level: 'eventual' }).cache.get(held, 2), 'user 2')
  })

  test('an array of keys, of entries that are loaded', async () => {
    const { ff } = ground()
    const loaded = names('loaded-names')
    const keys = [1, 7]
    const first = ff.as({ reader: 'ada', level: 'session' }).cache.getMany(loaded, keys)
    keys.splice(0, 2, 3, 4)
    assert.deepEqual(await first, ['user 1', 'user 7'])
    assert.equal(await ff.as({ reader: 'eve', level: 'strict' }).cache.get(loaded, 7), 'user 7')
  })

  test('a record', async () => {
    const { ff } = ground()
    const key = { id: 1 }
    const first = ff.cache.get(byRecord, key)
    key.id = 2
    assert.equal(await first, 'user 1')
    assert.equal(await ff.as({ reader: 'eve', level: 'strict' }).cache.get(byRecord, { id: 1 }), 'user 1')
  })

  test('parameters of a query', async () => {
    const { ff } = ground()
    const text = 'select name from users where id = $1'
    const parameters = [3]
    const first = ff.cache.query(text, parameters)
    parameters[0] = 4
    assert.deepEqual(await first, [{ name: 'user 3' }])
    const strict = ff.as({ reader: 'eve', level: 'strict' })
    assert.deepEqual(await strict.cache.query(text, [3]), [{ name: 'user 3' }])
  })

  test('tools that a load takes apart', async () => {
    const { ff } = ground()
    const apart = defineObject<number, string>({
      name: 'apart',
      load: async ({ use, dependsOn: _, ...rest }, id) => {
        const tools = { ...rest }
        const row = await tools.main.selectFrom('users').select('name').where('id', '=', id).executeTakeFirst()
        return `${row?.name} and ${await use(byRecord, { id: 5 })}`
      },
    })
    assert.equal(await ff.cache.get(apart, 4), 'user 4 and user 5')
  })
})
