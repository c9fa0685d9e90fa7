/** Many who want what cannot be kept at this moment: the database is not asked by each of them. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { define } from '../../src/app/define.ts'
import { cacheGround, untilKept, type CacheSchema } from '../support/cache-app.ts'

const { defineObject } = define<{ main: CacheSchema }>()

/** A user whose row somebody changes while it is loaded, until it is no longer told to. */
function unrest(name: string, change: () => Promise<unknown>) {
  const state = { loads: 0, restless: false }
  const user = defineObject<number, string>({
    name,
    load: async ({ main }, id) => {
      state.loads += 1
      const row = await main.selectFrom('users').select('name').where('id', '=', id).executeTakeFirst()
      if (state.restless) await change()
      return row?.name ?? null
    },
  })
  return { user, state }
}

suite('a row that changes while it is loaded', () => {
  const ground = cacheGround()

  /** Resolves when this process knows of the change. */
  async function change(id: number): Promise<void> {
    const { ff, outside } = ground()
    await outside.query(`update users set name = name || '.' where id = ${id}`)
    const { clusters } = ff
    const position = await clusters['main']!.readPosition()
    assert.ok(await clusters['main']!.changes!.waitFor(position, 10_000))
  }

  test('costs two loads, however many want it: the second began after all of them came', async () => {
    const { ff } = ground()
    const { user, state } = unrest('restless', () => change(21))
    await untilKept(ff.as({ reader: 'ada', level: 'session' }), user, 21)
    await change(21)
    Object.assign(state, { loads: 0, restless: true })
    const readers = Array.from({ length: 40 }, (_, at) => {
      return ff.as({ reader: `reader ${at}`, level: 'session' }).cache.get(user, 21)
    })
    for (const name of await Promise.all(readers)) assert.match(name ?? '', /^user 21\.+$/)
    assert.ok(state.loads <= 3, `${state.loads} loads for ${readers.length} readers`)
  })

  test('is never served to whoever wrote after its load began', async () => {
    const { reader } = ground()
    const held = Promise.withResolvers<void>()
    const changed = Promise.withResolvers<void>()
    const { user, state } = unrest('held', async () => {
      await change(22)
      changed.resolve()
      await held.promise
    })
    await untilKept(reader('ada'), user, 22)
    await change(22)
    state.restless = true
    const first = reader('ada').cache.get(user, 22)
    // Or what was changed meanwhile would be changed behind what Bob writes.
    await changed.promise
    state.restless = false
    const bob = reader('bob')
    await bob.databases.main.updateTable('users').set({ name: 'by bob' }).where('id', '=', 22).execute()
    const second = bob.cache.get(user, 22)
    held.resolve()
    assert.match((await first) ?? '', /^user 22\.+$/)
    assert.equal(await second, 'by bob')
  })
})
