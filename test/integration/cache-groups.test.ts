/** Objects made of other objects, several at once: what they use is looked up together, and each keeps its own parts. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { setImmediate as nextTurn } from 'node:timers/promises'

import { define } from '../../src/app/define.ts'
import { type LoadTools, type ObjectDefinition } from '../../src/cache/define-object.ts'
import { cacheGround, untilKept, type CacheSchema } from '../support/cache-app.ts'
import { waitFor } from '../support/wait-for.ts'

const { defineObject } = define<{ main: CacheSchema }>()
type Main = LoadTools<{ main: CacheSchema }>['main']

function userNamed(main: Main, id: number): Promise<{ name: string } | undefined> {
  return main.selectFrom('users').select('name').where('id', '=', id).executeTakeFirst()
}

/** Authors and articles that count their loads, and a card of both without a batch of its own. */
function cardObjects(name: string) {
  const loads = { author: 0, article: 0, card: 0 }
  const author = defineObject<number, string>({
    name: `${name}-author`,
    load: async ({ main }, id) => {
      loads.author += 1
      return (await userNamed(main, id))?.name ?? null
    },
    loadMany: async ({ main }, ids) => {
      loads.author += 1
      const rows = await main
        .selectFrom('users')
        .select(['id', 'name'])
        .where('id', 'in', [...ids])
        .execute()
      return new Map(rows.map((row) => [row.id, row.name]))
    },
    loadManyBy: 'id',
  })
  const article = defineObject<number, { title: string; authorId: number }>({
    name: `${name}-article`,
    load: async ({ main }, id) => {
      loads.article += 1
      const query = main.selectFrom('articles').select(['title', 'author_id as authorId'])
      return (await query.where('id', '=', id).executeTakeFirst()) ?? null
    },
    loadMany: async ({ main }, ids) => {
      loads.article += 1
      const query = main.selectFrom('articles').select(['id', 'title', 'author_id as authorId'])
      const rows = await query.where('id', 'in', [...ids]).execute()
      return new Map(rows.map(({ id, ...row }) => [id, row]))
    },
    loadManyBy: 'id',
  })
  const card = defineObject<number, { title: string; author: string | null }>({
    name: `${name}-card`,
    load: async ({ use }, id) => {
      loads.card += 1
      const row = await use(article, id)
      return row && { title: row.title, author: await use(author, row.authorId) }
    },
  })
  return { loads, author, article, card }
}

suite('objects that are made of others, several at once', () => {
  const ground = cacheGround()
  const keys = Array.from({ length: 20 }, (_, at) => at + 1)

  test('cost a batch a level, and not one for each, whoever is missing', async () => {
    const { reader } = ground()
    const { loads, author, article, card } = cardObjects('batched')
    // From then on rows of both tables can be told apart.
    await untilKept(reader('ada'), author, 49)
    await untilKept(reader('ada'), article, 99)
    Object.assign(loads, { author: 0, article: 0, card: 0 })
    const cards = await reader('ada').cache.getMany(card, keys)
    assert.deepEqual(
      cards,
      keys.map((id) => ({ title: `title ${id}`, author: `user ${1 + (id % 10)}` })),
    )
    assert.equal(loads.card, 20)
    // One each, or as many as the tier's answers to the look-ups before come in, on a busy machine.
    assert.ok(loads.author <= 4 && loads.article <= 4, JSON.stringify(loads))
  })

  test('each depends on its own parts, and on no others', async () => {
    const { reader, outside } = ground()
    const { card, author, article } = cardObjects('apart')
    const ada = reader('ada')
    await untilKept(ada, author, 49)
    await untilKept(ada, article, 99)
    await waitFor('all cards are kept', async () => {
      await ada.cache.getMany(card, keys)
      const kept = await Promise.all(keys.map((id) => ada.cache.explain(card, id)))
      return kept.every(({ verdict }) => verdict === 'fresh')
    })
    for (const { parts } of await Promise.all(keys.map((id) => ada.cache.explain(card, id)))) {
      assert.deepEqual(
        parts.flatMap(({ rows }) => rows.map((row) => row.keys)),
        [1, 1],
      )
      assert.deepEqual(
        parts.flatMap(({ wholeTables }) => wholeTables),
        [],
      )
    }
    // Of author 3: articles 2 and 12.
    await outside.query(`update users set name = 'Ann' where id = 3`)
    await waitFor('the change is known', async () => (await ada.cache.explain(card, 2)).verdict === 'row')
    const over = await Promise.all(keys.map(async (id) => (await ada.cache.explain(card, id)).verdict !== 'fresh'))
    assert.deepEqual(
      keys.filter((_, at) => over[at]),
      [2, 12],
    )
    assert.equal((await ada.cache.getMany(card, [12, 13]))[0]?.author, 'Ann')
  })

  test('may use one another as long as none needs itself', async () => {
    const { reader } = ground()
    const chain: ObjectDefinition<number, string> = defineObject({
      name: 'chain',
      load: async ({ main, use }, id): Promise<string> => {
        const row = await userNamed(main, id)
        // 24 needs 23, which needs 22, which needs 21, while all four are loaded together.
        return id === 21 ? (row?.name ?? '') : `${row?.name} after ${await use(chain, id - 1)}`
      },
    })
    const found = await reader('ada').cache.getMany(chain, [24, 23, 22, 21])
    assert.equal(found[3], 'user 21')
    assert.equal(found[0], 'user 24 after user 23 after user 22 after user 21')
  })

  test('do not wait in a circle that only their being loaded together makes', { timeout: 20_000 }, async () => {
    const { reader } = ground()
    const page: ObjectDefinition<number, string> = defineObject({
      name: 'circle-page',
      load: async ({ use }, id): Promise<string> => `${await use(box, id)} on ${id}`,
    })
    // Page 31 needs box 31, which needs page 32, which needs box 32: asked for together with box 31.
    const box: ObjectDefinition<number, string> = defineObject({
      name: 'circle-box',
      load: async ({ main, use }, id): Promise<string> =>
        `[${id === 31 ? await use(page, 32) : (await userNamed(main, id))?.name}]`,
    })
    assert.deepEqual(await reader('ada').cache.getMany(page, [31, 32]), ['[[user 32] on 32] on 31', '[user 32] on 32'])
  })

  test('fail by name where they need each other in a circle, and do not wait for ever', async () => {
    const { reader } = ground()
    const ring: ObjectDefinition<number, string> = defineObject({
      name: 'ring',
      load: async ({ main, use }, id): Promise<string> => {
        await userNamed(main, id)
        return `${id}, then ${await use(ring, 1 + (id % 3))}`
      },
    })
    await assert.rejects(reader('ada').cache.getMany(ring, [1, 2, 3]), { code: 'FF_CACHE_CYCLE' })
  })

  test('an error of one part fails those that use it, and no others', async () => {
    const { reader } = ground()
    const part = defineObject<number, string>({
      name: 'failing-part',
      load: async ({ main }, id) => {
        if (id === 7) throw new RangeError('seven is not to be had')
        return (await userNamed(main, id))?.name ?? null
      },
      loadMany: async ({ main }, ids) => {
        if (ids.includes(7)) throw new RangeError('seven is not to be had')
        const rows = await main
          .selectFrom('users')
          .selectAll()
          .where('id', 'in', [...ids])
          .execute()
        return new Map(rows.map((row) => [row.id, row.name]))
      },
      loadManyBy: 'id',
    })
    const whole = defineObject<number, string>({
      name: 'careful-whole',
      load: async ({ use }, id) => {
        try {
          return await use(part, id)
        } catch (error) {
          return `without: ${(error as Error).message}`
        }
      },
      ttl: '1m',
    })
    const found = await reader('ada').cache.getMany(whole, [6, 7, 8])
    assert.deepEqual(found, ['user 6', 'without: seven is not to be had', 'user 8'])
  })

  test('are loaded once each, also where they share parts at different depths', { timeout: 20_000 }, async () => {
    const { reader } = ground()
    let loads = 0
    const stair: ObjectDefinition<number, number> = defineObject({
      name: 'stair',
      ttl: '1m',
      load: async ({ use }, id): Promise<number> => {
        loads += 1
        await nextTurn()
        if (id > 100) return 0
        const steps = await Promise.all([use(stair, id + 2), use(stair, id + 3)])
        return 1 + Math.max(...steps.map(Number))
      },
    })
    assert.deepEqual(await reader('ada').cache.getMany(stair, [1, 2]), [50, 50])
    assert.ok(loads <= 103, `${loads} loads of 103 entries`)
  })

  test('that use themselves through several at once are refused soon', { timeout: 20_000 }, async () => {
    const { reader } = ground()
    let loads = 0
    const node: ObjectDefinition<number, unknown> = defineObject({
      name: 'node',
      ttl: '1m',
      load: async ({ useMany }, id): Promise<unknown> => {
        loads += 1
        await nextTurn()
        return await useMany(node, [1 + (id % 3), 1 + ((id + 1) % 3)])
      },
    })
    await assert.rejects(reader('ada').cache.getMany(node, [1, 2, 3]), { code: 'FF_CACHE_CYCLE' })
    assert.ok(loads < 50, `${loads} loads`)
  })

  test('get copies of their own of a part that is copied', async () => {
    const { reader } = ground()
    const part = defineObject<number, number[]>({
      name: 'copied-part',
      ttl: '1m',
      values: 'cloned',
      load: async () => [0],
      loadMany: async (_tools, ids) => new Map(ids.map((id) => [id, [0]])),
    })
    const whole = defineObject<number, number[]>({
      name: 'whole-of-copies',
      ttl: '1m',
      load: async ({ use }, id) => {
        const own = (await use(part, 1)) ?? []
        own.push(id)
        return own
      },
    })
    const found = await reader('ada').cache.getMany(whole, [1, 2, 3])
    assert.deepEqual(found, [
      [0, 1],
      [0, 2],
      [0, 3],
    ])
  })

  test('do not wait for a part that only another needs', { timeout: 20_000 }, async () => {
    const { reader } = ground()
    const held = Promise.withResolvers<void>()
    const part = defineObject<number, string>({
      name: 'held-part',
      ttl: '1m',
      load: async (_tools, id) => {
        if (id === 1) await held.promise
        return `part ${id}`
      },
    })
    const whole = defineObject<number, string>({
      name: 'whole-of-held',
      ttl: '1m',
      load: async ({ use }, id) => `with ${await use(part, id)}`,
    })
    const all = reader('ada').cache.getMany(whole, [1, 2])
    assert.equal(await reader('bob').cache.get(whole, 2), 'with part 2')
    held.resolve()
    assert.deepEqual(await all, ['with part 1', 'with part 2'])
  })
})
