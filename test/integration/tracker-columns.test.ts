import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readWritePosition } from '../../src/engines/postgres/positions.ts'
import { hashRow, templateId } from '../../src/freshness/changes/hash.ts'
import { askToWatch } from '../../src/freshness/tracker/watch-list.ts'
import { connectTestStore, MessageReader, startTestTracker, untilStreaming } from '../support/change-stream.ts'
import { connect, startTestCluster } from '../support/postgres.ts'

const big = 'é'.repeat(5000)

test('what the stream tells of columns', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const client = await connect(t, cluster.primary)
  // What an administrator may have set for everybody, and what would make values look alike.
  await client.query(`alter role current_user set extra_float_digits = -5`)
  await client.query(`alter role current_user set datestyle = 'SQL'`)
  await client.query(`alter role current_user set timezone = 'Europe/Dublin'`)
  const store = await connectTestStore(t)
  const tracker = startTestTracker(t, {
    database: 'main',
    address: cluster.primary,
    store,
    trackingOf: (_schema, name) => (name === 'keyed' ? 'key' : 'full'),
  })
  await untilStreaming(tracker)
  const reader = new MessageReader(store, 'main')

  const oidOf = async (name: string): Promise<number> => {
    const { rows } = await client.query('select $1::regclass::oid::int as oid', [name])
    return rows[0].oid as number
  }
  const watch = async (table: number, columns: readonly string[], reads: readonly string[]): Promise<string> => {
    const template = templateId(table, columns, reads)
    await askToWatch(store, 'main', { tables: [table], templates: [template] })
    await reader.until('coverage', (messages) =>
      messages.findLast(({ coverage }) => coverage !== null)?.coverage?.templates.has(template),
    )
    return template
  }
  /** Which of the named hashes a statement's commit raises, and whether the table is named whole. */
  const toldBy = async (sql: string): Promise<string> => {
    const before = await readWritePosition(client)
    await client.query(sql)
    const { lsn } = await readWritePosition(client)
    await reader.until('the watermark', (messages) => (messages.at(-1)?.to ?? 0) >= lsn)
    const change = reader.all.flatMap(({ commits }) => commits).find(({ to }) => to > before.lsn && to <= lsn)
    assert.ok(change !== undefined, sql)
    const hashes = Array.from({ length: change.hashes.length / 2 }, (_, at) => [
      ...change.hashes.slice(2 * at, 2 * at + 2),
    ])
    return [...change.wide.map(() => 'wide'), ...hashes.flatMap((pair) => names.get(pair.join('.')) ?? [])]
      .toSorted()
      .join(' ')
  }
  const names = new Map<string, string>()
  const name = (called: string, template: string, ...values: string[]): void =>
    void names.set(hashRow(template, values).join('.'), called)

  await t.test('an update is told to those who read what it changed', async () => {
    await client.query(
      `create table articles (id int primary key, author int, slug text, body text, at timestamptz, n float8)`,
    )
    await client.query('alter table articles alter column body set storage external')
    const table = await oidOf('articles')
    name('list', await watch(table, [], ['id', 'author', 'at']))
    name('body', await watch(table, ['id'], ['body']), '1')
    name('n', await watch(table, ['id'], ['n']), '1')
    const bySlug = await watch(table, ['slug'], [])
    name('slug a', bySlug, 'a')
    name('slug b', bySlug, 'b')
    name('count', await watch(table, [], []))
    await client.query(`insert into articles values (1, 7, 'a', $1, '2026-10-25 01:30+01', 0.3)`, [big])
    const steps: Readonly<Record<string, string>> = {
      'update articles set author = 8': 'list',
      [`update articles set slug = 'b'`]: 'slug a slug b',
      'update articles set id = id, n = n, body = body': '',
      // Another wall clock hour of the same name.
      [`update articles set at = '2026-10-25 01:30+00'`]: 'list',
      'update articles set n = 0.30000000000000004': 'n',
      [`update articles set body = body || 'x'`]: 'body',
      [`update articles set body = 'short'`]: 'body',
      'update articles set author = null': 'list',
      [`update articles set n = n, author = 1`]: 'list',
      [`insert into articles values (2, 7, 'b', null, now(), 1)`]: 'count list slug b',
      'delete from articles where id = 1': 'body count list n slug b',
      'truncate articles': 'wide',
    }
    for (const [sql, expected] of Object.entries(steps)) assert.equal(await toldBy(sql), expected, sql)
  })

  await t.test('a value that is stored apart: unchanged where it was not touched, told where it was', async () => {
    await client.query('create table stored (id int primary key, big text, small int)')
    await client.query('alter table stored alter column big set storage external')
    const table = await oidOf('stored')
    name('big', await watch(table, ['id'], ['big']), '1')
    name('small', await watch(table, ['id'], ['small']), '1')
    await client.query('insert into stored values (1, $1, 1)', [big])
    assert.equal(await toldBy('update stored set small = 2'), 'small')
    assert.equal(await toldBy('update stored set small = 3, big = big'), 'small')
    assert.equal(await toldBy(`update stored set big = reverse(big) || 'x'`), 'big')
    assert.equal(await toldBy('update stored set big = null'), 'big')
  })

  await t.test('where only the key is known of the row before, each update is told to all', async () => {
    await client.query('create table keyed (id int primary key, a int, body text)')
    const table = await oidOf('keyed')
    name('a', await watch(table, ['id'], ['a']), '1')
    name('all of a', await watch(table, [], ['a']))
    await client.query(`insert into keyed values (1, 1, 'x')`)
    assert.equal(await toldBy(`update keyed set body = 'y'`), 'a all of a')
    assert.equal(await toldBy('delete from keyed'), 'a all of a')
  })

  await t.test('a part with its columns in another order', async () => {
    await client.query(
      'create table measures (id int, day int, note text, body text, primary key (id, day)) partition by range (day)',
    )
    await client.query(
      'create table later (body text, day int not null, id int not null, note text, primary key (id, day))',
    )
    await client.query('create table measures_1 partition of measures for values from (0) to (10)')
    await client.query('alter table measures attach partition later for values from (10) to (20)')
    const table = await oidOf('measures')
    name('notes', await watch(table, [], ['note']))
    name('note 1', await watch(table, ['id'], ['note']), '1')
    await client.query(`insert into measures values (1, 1, 'n', 'b'), (2, 12, 'n', 'b')`)
    assert.equal(await toldBy(`update measures set body = 'c'`), '')
    assert.equal(await toldBy(`update measures set note = 'm' where id = 2`), 'notes')
    assert.equal(await toldBy(`update measures set day = 13 where id = 1`), 'note 1 notes', 'moves to another part')
  })

  await t.test('enums and domains are compared, composite types never', async () => {
    await client.query(`create type level as enum ('low', 'high'); create type pair as (one int, two int)`)
    await client.query('create domain positive as int check (value > 0)')
    await client.query(
      `create table typed (id int primary key, l level, p positive, c pair, body text,
       twice int generated always as (id * 2) stored)`,
    )
    const table = await oidOf('typed')
    for (const column of ['l', 'p', 'c', 'twice']) name(column, await watch(table, [], [column]))
    await client.query(`insert into typed values (1, 'low', 1, (1, 2), 'x')`)
    assert.equal(await toldBy(`update typed set body = 'y'`), 'c')
    assert.equal(await toldBy(`update typed set l = 'high'`), 'c l')
    assert.equal(await toldBy('update typed set p = 2'), 'c p')
    assert.equal(await toldBy('update typed set id = 2'), 'c twice')
    await client.query('alter table typed drop column p')
    assert.equal(await toldBy(`update typed set body = 'z'`), 'c p', 'what is not in the stream may have changed')
  })

  await t.test('a table takes a bounded number of sets of columns', async () => {
    const list = Array.from({ length: 80 }, (_, at) => `c${at} int`).join(', ')
    await client.query(`create table wide (id int primary key, ${list})`)
    const table = await oidOf('wide')
    const templates = Array.from({ length: 80 }, (_, at) => templateId(table, ['id'], [`c${at}`]))
    const all = templateId(table, ['id'])
    await askToWatch(store, 'main', { tables: [table], templates: [...templates, all] })
    const covered = await reader.until('coverage of all columns', (messages) => {
      const coverage = messages.findLast((message) => message.coverage !== null)?.coverage
      return coverage?.templates.has(all) === true ? coverage.templates : null
    })
    assert.equal(templates.filter((template) => covered.has(template)).length, 64)
  })
})
