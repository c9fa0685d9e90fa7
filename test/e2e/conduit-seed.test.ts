/** Conduit's made-up data: as much as was asked for, the same each time, and popular as things are popular. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sql } from 'kysely'
import { open } from 'fourfold'
import app from '../../examples/conduit/src/app.ts'
import { createRandom, zipf } from '../../examples/conduit/src/seed/random.ts'
import { createPeople, writeArticle } from '../../examples/conduit/src/seed/text.ts'
import { silentLogger } from '../../src/core/log.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'

test('a seed adds exactly what was asked for, also where there is some already', { timeout: 60_000 }, async (t) => {
  const dataDir = await makeDirectory(t)
  const ff = await open(app, { config: { dataDir, databases: { main: { replicas: 0 } } }, env: {}, log: silentLogger })
  endAfter(t, () => ff.close())
  const { main } = ff.databases
  const count = async (table: 'users' | 'articles' | 'favorites' | 'comments' | 'follows'): Promise<number> =>
    (
      await main
        .selectFrom(table)
        .select(sql<number>`count(*)::int`.as('n'))
        .executeTakeFirstOrThrow()
    ).n
  const told: number[] = []
  const progress = (fraction: number): void => void told.push(fraction)
  const seed = app.definition.seed ?? assert.fail('expected a seed')
  for (const time of [1, 2]) {
    await seed(ff, { first: false, arguments: { users: '120', articles: '300' }, progress })
    assert.equal(await count('users'), 120 * time)
    assert.equal(await count('articles'), 300 * time)
  }
  for (const table of ['favorites', 'comments', 'follows'] as const) assert.ok((await count(table)) > 100, table)
  assert.deepEqual(told, [...told.slice(0, told.length / 2), ...told.slice(0, told.length / 2)])
  assert.deepEqual([told.at(0), told.at(-1)], [0, 1])
  await assert.rejects(
    async () => seed(ff, { first: false, arguments: { users: 'many', artikles: '3' }, progress }),
    (error: Error) => /--artikles: there is no such option/.test(error.message) && /--users/.test(error.message),
  )
})

test('the same seed tells the same stories, another one others', () => {
  const story = (seed: number): unknown => {
    const random = createRandom(seed)
    return [createPeople(random, new Set())(), writeArticle(random)]
  }
  assert.deepEqual(story(7), story(7))
  assert.notDeepEqual(story(7), story(8))
})

test('the first rank comes about twice as often as the second, four times as often as the fourth', () => {
  const rank = zipf(createRandom(1), 100)
  const seen = Array.from({ length: 100 }, () => 0)
  for (let n = 0; n < 100_000; n++) seen[rank()]! += 1
  const [first = 0, second = 0, , fourth = 0] = seen
  assert.ok(Math.abs(first / second - 2) < 0.2, `${first} to ${second}`)
  assert.ok(Math.abs(first / fourth - 4) < 0.5, `${first} to ${fourth}`)
})
