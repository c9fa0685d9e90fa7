/** Joins in the application: what they find, what they cost, and what entries that use them depend on. */

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'

import { CamelCasePlugin } from 'kysely'

import { define, loader, many, one, table } from 'fourfold'
import { cacheGround, untilKept } from '../support/cache-app.ts'
import { waitFor } from '../support/wait-for.ts'

import type { Fourfold } from 'fourfold'

const sql = `
create extension if not exists citext;
create type mood as enum ('fine', 'bad');
create table users (id int primary key, name text not null);
create table articles (id int primary key, author_id int, title text not null);
create table comments (id bigint primary key, article_id int not null, body text not null, votes int not null, author_id int);
create index on comments (article_id, votes);
create table tags (id int primary key, name text not null);
create table article_tags (article_id int not null, tag_id int not null, position int not null);
create table words (word text primary key, meaning text not null, "key" int not null default 1, "n" int not null default 2);
create table kinds (id uuid primary key, nick citext unique, mood mood, amount numeric, raw bytea, at timestamptz);
create schema other;
create table other.notes (id int primary key, article_id int not null, "strange ""name" text);
insert into users select n, 'user ' || n from generate_series(1, 50) n;
insert into articles select n, case when n % 7 = 0 then null else 1 + n % 10 end, 'title ' || n from generate_series(1, 100) n;
insert into comments select n, 1 + n % 100, 'comment ' || n, n % 13, 1 + n % 50 from generate_series(1, 2000) n;
insert into tags select n, 'tag ' || n from generate_series(1, 10) n;
insert into article_tags select a, 1 + (a + p) % 10, p from generate_series(1, 100) a, generate_series(1, 3) p;
insert into words values ('now', 'this moment'), ('a "quoted", {odd} \\ word', 'yes'), ('NULL', 'not null'), ('', 'empty');
insert into kinds values ('0190a1b2-0000-7000-8000-00000000000a', 'Ada', 'fine', 1.50, '\\x0aff', '2026-01-01T00:00:00Z');
insert into other.notes values (1, 5, 'x')`

type Row = Record<string, any>
const { defineObject } = define<{ main: any }>()
const loads = { one: 0, batch: 0 }
const user = defineObject<number, Row>({
  name: 'user',
  load: async ({ main }, id) => {
    loads.one += 1
    return (await main.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()) ?? null
  },
  loadMany: async ({ main }, ids) => {
    loads.batch += 1
    const rows: Row[] = await main
      .selectFrom('users')
      .selectAll()
      .where('id', 'in', [...ids])
      .execute()
    return new Map(rows.map((row) => [row['id'], row]))
  },
  loadManyBy: 'id',
})
const tag = defineObject<number, Row>({
  name: 'tag',
  load: async ({ main }, id) =>
    (await main.selectFrom('tags').selectAll().where('id', '=', id).executeTakeFirst()) ?? null,
})
const topComments = defineObject<number, Row[]>({
  name: 'top-comments',
  load: async ({ main, join }, id) => {
    const rows: Row[] = await main
      .selectFrom('articles')
      .select(['id', 'title'])
      .where('id', 'in', [id, id + 1])
      .execute()
    return await join(rows, {
      comments: many(table('comments', 'article_id'), 'id', {
        columns: ['id', 'votes', 'author_id'],
        orderBy: { votes: 'desc', id: 'asc' },
        limit: 2,
        join: { author: one(user, 'author_id') },
      }),
      all: many(table('comments', 'article_id'), 'id', { columns: ['id'] }),
      tags: many(tag, 'id', {
        through: table('article_tags', 'article_id', 'tag_id', { orderBy: { position: 'asc' } }),
      }),
    })
  },
})
/** Articles and users both have their keys in a column `id`. */
const articlesWithAuthor = async ({ main, join }: any, ids: readonly number[]): Promise<Row[]> => {
  const rows: Row[] = await main
    .selectFrom('articles')
    .select(['id', 'author_id'])
    .where('id', 'in', [...ids])
    .execute()
  return await join(rows, { author: one(table('users', 'id'), 'author_id') })
}
const withAuthor = defineObject<number, Row>({
  name: 'with-author',
  // One of several may be asked for alone: those of a batch that is not followed yet do not end in the same millisecond.
  load: async (tools, id) => (await articlesWithAuthor(tools, [id]))[0] ?? null,
  loadMany: async (tools, ids) => new Map((await articlesWithAuthor(tools, ids)).map((row) => [row['id'], row])),
  loadManyBy: 'id',
})
const many1500 = defineObject<number, number>({
  name: 'many-1500',
  load: async ({ join }, from) => {
    const rows = Array.from({ length: 1_500 }, (_, at) => ({ key: from + at }))
    const joined: Row[] = await join(rows, { comment: one(table('comments', 'id'), 'key', { columns: ['votes'] }) })
    return joined.reduce((sum, row) => sum + (row['comment']?.votes ?? 0), 0)
  },
})
const meanings = defineObject<string, Row[]>({
  name: 'meanings',
  load: async ({ join }, word) => await join([{ word }], { found: one(table('words', 'word'), 'word') }),
})
const likes = loader(async (main: any, ids: readonly number[]) => {
  const rows: Row[] = await main.selectFrom('articles').select(['id', 'title']).where('id', 'in', ids).execute()
  return new Map(rows.map((row) => [row['id'] as number, row['title'] as string]))
})
const titled = defineObject<number, string>({
  name: 'titled',
  load: async ({ main }, id) => {
    const [one, two] = await Promise.all([likes.load(main, id), likes.load(main, id + 1)])
    return `${one}, ${two}`
  },
})

suite('joins in the application', () => {
  const ground = cacheGround([user, tag, topComments, withAuthor, many1500, meanings, titled], { sql })
  const article = async (ff: Fourfold<any>, ...ids: number[]): Promise<Row[]> =>
    await ff.databases['main']!.selectFrom('articles').selectAll().where('id', 'in', ids).orderBy('id').execute()
  /** Statements on the primary while something runs. */
  const counted = async (ff: Fourfold<any>, work: () => Promise<unknown>): Promise<string[]> => {
    const cluster = ff.clusters['main']! as any
    const texts: string[] = []
    const { run, runFill } = cluster
    const note = (statement: any): void => void texts.push(typeof statement === 'string' ? statement : statement.text)
    cluster.run = (scope: any, statement: any, values: any) => (
      note(statement),
      run.call(cluster, scope, statement, values)
    )
    cluster.runFill = (scope: any, statement: any, values: any) => (
      note(statement),
      runFill.call(cluster, scope, statement, values)
    )
    try {
      await work()
    } finally {
      delete cluster.run
      delete cluster.runFill
    }
    return texts
  }
  const ff = (): Fourfold<any> => ground().ff as unknown as Fourfold<any>

  test('rows of a table, one for each or many, in one statement each', async () => {
    const rows = await article(ff(), 7, 3, 4, 4, 90)
    let joined: Row[] = []
    const statements = await counted(ff(), async () => {
      joined = await ff().join(rows, {
        author: one(table('users', 'id'), 'author_id'),
        comments: many(table('comments', 'article_id'), 'id', { columns: ['id', 'votes'], orderBy: { id: 'desc' } }),
      })
    })
    assert.equal(statements.length, 2)
    assert.deepEqual(
      joined.map((row) => row['id']),
      [3, 4, 7, 90],
    )
    assert.deepEqual(
      joined.map((row) => row['author']?.name ?? null),
      ['user 4', 'user 5', null, 'user 1'],
    )
    assert.equal(joined[0]!['comments'].length, 20)
    assert.deepEqual(joined[0]!['comments'][0], { id: '1902', votes: 1902 % 13 })
    assert.deepEqual(Object.keys(rows[0]!), ['id', 'author_id', 'title'], 'the given rows are left alone')
  })

  test('a limit is for each row, and joins go on below, one step for each level', async () => {
    const rows = await article(ff(), 3, 4, 5, 6, 8)
    let joined: Row[] = []
    const spec = {
      comments: many(table('comments', 'article_id'), 'id', {
        columns: ['id', 'votes', 'author_id'],
        where: { body: ['comment 102', 'comment 202', 'comment 302', 'comment 103'] },
        orderBy: { votes: 'desc', id: 'asc' },
        limit: 2,
        join: { author: one(table('users', 'id'), 'author_id', { columns: ['name'] }) },
      }),
      tags: many(table('tags', 'id'), 'id', {
        through: table('article_tags', 'article_id', 'tag_id', { orderBy: { position: 'desc' }, limit: 2 }),
      }),
    } as const
    const statements = await counted(ff(), async () => void (joined = await ff().join(rows, spec)))
    assert.equal(statements.length, 4)
    assert.deepEqual(joined[0]!['comments'], [
      { id: '102', votes: 11, author_id: 3, author: { name: 'user 3' } },
      { id: '202', votes: 7, author_id: 3, author: { name: 'user 3' } },
    ])
    assert.deepEqual(
      joined[1]!['comments'].map((row: Row) => row['id']),
      ['103'],
    )
    assert.deepEqual(joined[2]!['comments'], [])
    assert.deepEqual(
      joined[0]!['tags'].map((row: Row) => row['name']),
      ['tag 7', 'tag 6'],
    )
  })

  test('the database decides what is equal, whatever the type', async () => {
    const id = '0190a1b2-0000-7000-8000-00000000000a'
    const rows = [
      {
        id: id.toUpperCase(),
        nick: 'ADA',
        two: 'ada',
        mood: 'fine',
        amount: '1.5',
        raw: Buffer.from([10, 255]),
        big: 7n,
        text: '7',
        int: 7,
      },
    ]
    const kinds = (column: string): any => one(table('kinds', column), 'x', { columns: ['amount'] })
    const by = (column: string, field: string): any => ({ ...kinds(column), key: field })
    const [joined] = (await ff().join(
      rows as any,
      {
        byId: by('id', 'id'),
        byNick: by('nick', 'nick'),
        byTwo: by('nick', 'two'),
        byMood: by('mood', 'mood'),
        byAmount: by('amount', 'amount'),
        byRaw: by('raw', 'raw'),
        asBig: many(table('comments', 'article_id'), (row: any) => row.big),
        asText: many(table('comments', 'article_id'), (row: any) => row.text),
        asInt: many(table('comments', 'id'), (row: any) => row.int),
      } as any,
    )) as Row[]
    for (const name of ['byId', 'byNick', 'byTwo', 'byMood', 'byAmount', 'byRaw'])
      assert.deepEqual(joined![name], { amount: '1.50' }, name)
    assert.equal(joined!['asBig'].length, 20)
    assert.equal(joined!['asText'].length, 20)
    assert.equal(joined!['asInt'].length, 1)
    const both = (await ff().join([{ nick: 'ada' }, { nick: 'ADA' }], { found: by('nick', 'nick') })) as Row[]
    assert.deepEqual(
      both.map((row) => row['found']?.amount),
      ['1.50', '1.50'],
    )
  })

  test('odd texts and names are texts and names', async () => {
    const words = ['now', 'a "quoted", {odd} \\ word', 'NULL', '', "'; drop table words; --"].map((word) => ({ word }))
    const joined = (await ff().join(words, { found: one(table('words', 'word'), 'word') })) as Row[]
    assert.deepEqual(
      joined.map((row) => row['found']?.meaning ?? null),
      ['this moment', 'yes', 'not null', 'empty', null],
    )
    assert.deepEqual(joined[0]!['found'], { word: 'now', meaning: 'this moment', key: 1, n: 2 })
    const [noted] = (await ff().join([{ id: 5 }], {
      notes: many(table('other.notes', 'article_id'), 'id', { columns: ['strange "name'] }),
    })) as Row[]
    assert.deepEqual(noted!['notes'], [{ 'strange "name': 'x' }])
    const named = (await ff().join([{ id: 3 }], { ['__proto__']: one(table('users', 'id'), 'id') })) as Row[]
    assert.equal(Object.getOwnPropertyDescriptor(named[0], '__proto__')?.value.name, 'user 3')
    await assert.rejects(ff().join([{ id: 5 }], { notes: many(table('words', '#key'), 'id') }), { code: '42703' })
  })

  test('nothing is asked for no rows, nor for keys that are null', async () => {
    const spec = {
      author: one(table('users', 'id'), 'author_id'),
      who: one(user, 'author_id'),
      those: many(user, 'ids'),
    }
    const statements = await counted(ff(), async () => {
      assert.deepEqual(await ff().join([], spec), [])
      const rows = [
        { author_id: null, ids: null },
        { author_id: undefined, ids: [null] },
      ] as any[]
      const joined = await ff().join(rows, spec as any)
      assert.deepEqual(
        joined.map((row: any) => [row.author, row.who, row.those]),
        [
          [null, null, []],
          [null, null, []],
        ],
      )
    })
    assert.deepEqual(statements, [])
  })

  test('objects come in one batch, each key once', async () => {
    const rows = [
      { a: 11, all: [12, 13, 11] },
      { a: 999, all: [] },
      { a: 11, all: [999, 12] },
    ]
    let joined: Row[] = []
    await untilKept(ff(), user, 1)
    const statements = await counted(ff(), async () => {
      joined = (await ff()
        .as({ reader: 'x', level: 'session' })
        .join(rows, { one: one(user, 'a'), many: many(user, 'all') })) as Row[]
    })
    assert.equal(statements.length, 2)
    assert.deepEqual(
      joined.map((row) => row['one']?.name ?? null),
      ['user 11', null, 'user 11'],
    )
    assert.deepEqual(
      joined.map((row) => row['many'].map((found: Row) => found['id'])),
      [[12, 13, 11], [], [12]],
    )
  })

  test('inside a transaction it sees what that has written, one statement after the other', async () => {
    await ff()
      .databases['main']!.transaction()
      .execute(async (trx: any) => {
        await trx.updateTable('users').set({ name: 'changed' }).where('id', '=', 21).execute()
        const rows = await trx.selectFrom('users').select('id').where('id', 'in', [21, 22]).orderBy('id').execute()
        const before = { ...loads }
        const joined = (await ff().join(
          rows,
          { table: one(table('users', 'id'), 'id'), object: one(user, 'id'), again: many(table('users', 'id'), 'id') },
          { in: trx },
        )) as Row[]
        assert.deepEqual(
          joined.map((row) => [row['table'].name, row['object'].name, row['again'][0].name]),
          [
            ['changed', 'changed', 'changed'],
            ['user 22', 'user 22', 'user 22'],
          ],
        )
        assert.deepEqual(loads, { one: before.one, batch: before.batch + 1 })
        await trx.updateTable('users').set({ name: 'user 21' }).where('id', '=', 21).execute()
      })
    await assert.rejects(ff().join([{ id: 1 }], { x: one(user, 'id') }, { in: ff().databases['main'] as any }), {
      code: 'FF_CACHE_IN_TRANSACTION',
    })
  })

  test('names that a plugin of Kysely turns go through it', async () => {
    const found = await ff()
      .databases['main']!.withPlugin(new CamelCasePlugin())
      .transaction()
      .execute(async (trx: any) => {
        return await ff().join(
          [{ id: 3 }],
          {
            comments: many(table('comments', 'articleId'), 'id', {
              columns: ['articleId'],
              orderBy: { articleId: 'asc' },
              limit: 1,
            }),
          },
          { in: trx },
        )
      })
    assert.deepEqual(found, [{ id: 3, comments: [{ articleId: 3 }] }])
  })

  test('an object that joins depends on the rows of its keys and on nothing else', async () => {
    const { reader } = ground()
    const ada = reader('ada') as unknown as Fourfold<any>
    await untilKept(ada, topComments, 30)
    const { parts } = await ada.cache.explain(topComments, 30)
    const tables = new Map(parts[0]!.rows.map((row) => [row.table.replace('public.', ''), row]))
    assert.deepEqual(parts[0]!.wholeTables, [])
    assert.deepEqual([...tables.keys()].toSorted(), ['article_tags', 'articles', 'comments', 'tags', 'users'])
    assert.equal(tables.get('comments')?.keys, 2)
    const titles = (value: Row[] | null): unknown =>
      value?.map((row) => row['comments'].map((comment: Row) => comment['votes']))
    assert.deepEqual(titles(await ada.cache.get(topComments, 30)), [
      [12, 12],
      [12, 11],
    ])
    const hits = (): number => ada.cache.metrics()['top-comments']!.hits.memory
    const before = hits()
    await ada.databases['main']!.updateTable('comments').set({ votes: 99 }).where('article_id', '=', 77).execute()
    // The stream may be a little behind; an entry that has ended would never be fresh again.
    await waitFor('the entry to be fresh', async () => {
      return (await ada.cache.explain(topComments, 30)).verdict === 'fresh'
    })
    await ada.cache.get(topComments, 30)
    assert.equal(hits(), before + 1, 'comments of another article end nothing')
    await ada.databases['main']!.updateTable('comments').set({ votes: 50 }).where('id', '=', 30).execute()
    assert.deepEqual(titles(await ada.cache.get(topComments, 30)), [
      [12, 12],
      [50, 12],
    ])
    await ada.databases['main']!.insertInto('comments')
      .values({ id: 9000, article_id: 30, body: 'new', votes: 60, author_id: 1 })
      .execute()
    assert.deepEqual(titles(await ada.cache.get(topComments, 30)), [
      [60, 12],
      [50, 12],
    ])
  })

  test('what a batch joins by a column of the same name belongs to all of it', async () => {
    const ada = ground().reader('ada') as unknown as Fourfold<any>
    const names = async (): Promise<unknown[]> =>
      (await ada.cache.getMany(withAuthor, [1, 2, 3, 12])).map((row) => row?.['author'].name)
    await waitFor('the entries to depend on rows', async () => {
      await names()
      const { verdict, parts } = await ada.cache.explain(withAuthor, 1)
      return verdict === 'fresh' && parts.every(({ wholeTables }) => wholeTables.length === 0)
    })
    await ada.databases['main']!.updateTable('users').set({ name: 'renamed' }).where('id', 'in', [2, 3]).execute()
    assert.deepEqual(await names(), ['renamed', 'renamed', 'user 4', 'renamed'])
    await ada.databases['main']!.updateTable('users').set({ name: 'again' }).where('id', '=', 3).execute()
    assert.deepEqual(await names(), ['renamed', 'again', 'user 4', 'again'])
  })

  test('a load may join with more rows than one statement can record', async () => {
    const ada = ground().reader('ada') as unknown as Fourfold<any>
    await untilKept(ada, many1500, 100)
    const { parts } = await ada.cache.explain(many1500, 100)
    assert.deepEqual(
      parts.map(({ rows }) => rows.map(({ keys }) => keys)),
      [[1_500]],
    )
    const before = (await ada.cache.get(many1500, 100)) ?? 0
    await ada.databases['main']!.updateTable('comments')
      .set((eb) => ({ votes: eb('votes', '+', 5) }))
      .where('id', 'in', ['99', '100', '1599', '1600'])
      .execute()
    assert.equal(await ada.cache.get(many1500, 100), before + 10)
  })

  test('an object that joins is assembled inside a transaction', async () => {
    await ff()
      .databases['main']!.transaction()
      .execute(async (trx: any) => {
        await trx.updateTable('comments').set({ votes: 70 }).where('id', '=', 40).execute()
        const found = await ff().cache.get(topComments, 40, { in: trx })
        assert.deepEqual(
          found?.map((row) => row['comments'][0].votes),
          [12, 70],
        )
        assert.equal(found?.[1]?.['comments'][0].author.id, 41)
        await trx.updateTable('comments').set({ votes: 1 }).where('id', '=', 40).execute()
      })
  })

  test('a key that reads like a time is a key', async () => {
    const ada = ground().reader('ada') as unknown as Fourfold<any>
    await untilKept(ada, meanings, 'now')
    assert.equal((await ada.cache.get(meanings, 'now'))?.[0]?.['found'].meaning, 'this moment')
  })

  test('loads at the same time share no batch of a loader, so each records what it read', async () => {
    const ada = ground().reader('ada') as unknown as Fourfold<any>
    await Promise.all([untilKept(ada, titled, 40), untilKept(ada, titled, 60)])
    // Both in one tick, as misses at the same moment are.
    await ada.databases['main']!.updateTable('articles').set({ title: 'x' }).where('id', 'in', [40, 60]).execute()
    await Promise.all([ada.cache.get(titled, 40), ada.cache.get(titled, 60)])
    const keys = async (id: number): Promise<unknown> =>
      (await ada.cache.explain(titled, id)).parts.map((part) => part.rows.map((row) => row.keys))
    assert.deepEqual([await keys(40), await keys(60)], [[[2]], [[2]]])
    await ada.databases['main']!.updateTable('articles').set({ title: 'y' }).where('id', '=', 61).execute()
    assert.equal(await ada.cache.get(titled, 60), 'x, y')
    assert.equal(await ada.cache.get(titled, 40), 'x, title 41')
  })

  test('mistakes are told by name', async () => {
    const refused = (rows: any, joins: any, pattern: RegExp): Promise<void> =>
      assert.rejects(
        ff().join(rows, joins),
        (error: any) => error.code === 'FF_CACHE_JOIN' && pattern.test(error.message),
      )
    const rows = [{ id: 3, title: 'x', ids: 3 }]
    await refused(
      rows,
      { author: one(user, 'authorId') },
      /author: expected rows with the field "authorId", got one with id, title, ids/,
    )
    await refused(rows, { title: one(user, 'id') }, /title: the rows have a field of this name already/)
    await refused(rows, { those: many(user, 'ids') }, /expected an array of keys/)
    await refused(
      rows,
      { c: one(table('comments', 'article_id'), 'id') },
      /c: expected one row for the key 3, got several/,
    )
    await refused(rows, { c: many(table('comments', 'article_id'), 'id', { limit: 3 }) }, /expected orderBy too/)
    await refused(
      rows,
      { c: many(table('comments', 'article_id'), 'id', { orderBy: { id: 'asc; drop' } as any }) },
      /expected "asc" or "desc"/,
    )
    await refused(
      rows,
      { c: many(table('comments', 'article_id'), 'id', { where: { body: undefined } }) },
      /expected a value for body/,
    )
    await refused(
      rows,
      { c: many(table('comments', 'article_id'), 'id', { join: { id: one(user, 'id') } }) },
      /c\.id: |id: the rows have/,
    )
    await refused(
      rows,
      { c: one(table('users', 'id', { database: 'nowhere' }), 'id') },
      /expected a database of the app \(main\), got nowhere/,
    )
    await refused(rows, { c: one(table('users', 'id'), () => ({ no: 1 }) as any) }, /expected a key that is/)
    await refused([null], { c: one(user, 'id') }, /rows that are objects/)
    await refused({}, { c: one(user, 'id') }, /an array of rows/)
    await refused(rows, { c: user }, /expected one\(…\) or many\(…\)/)
    await refused(rows, { c: one(user, 'id', { columns: ['id'] }) }, /are for tables/)
  })

  test('a hundred thousand rows take a statement for each ten thousand keys', async () => {
    const rows = Array.from({ length: 100_000 }, (_, at) => ({ at, key: at % 40_000, ids: [at % 50] }))
    let joined: Row[] = []
    const statements = await counted(ff(), async () => {
      joined = (await ff().join(rows, {
        comment: one(table('comments', 'id'), 'key', { columns: ['id', 'votes'] }),
      })) as Row[]
    })
    assert.equal(statements.length, 4)
    const found = joined.filter((row) => row['comment'] !== null && row['key'] <= 2_000)
    assert.equal(found.length, 3 * 2_000)
    assert.equal(joined[40_000 + 1_999]!['comment'].id, '1999')
  })
})
