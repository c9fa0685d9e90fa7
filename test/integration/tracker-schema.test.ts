import assert from 'node:assert/strict'
import { test } from 'node:test'
import type pg from 'pg'

import { readWritePosition } from '../../src/engines/postgres/positions.ts'
import { hashName, hashRow, templateId } from '../../src/freshness/changes/hash.ts'
import type { ChangeMessage, CommitChanges } from '../../src/freshness/changes/message.ts'
import { askToWatch } from '../../src/freshness/tracker/watch-list.ts'
import type { Tracking } from '../../src/engines/postgres/changes/tables.ts'
import { connectTestStore, MessageReader, startTestTracker, untilStreaming } from '../support/change-stream.ts'
import { connect, startTestCluster, until } from '../support/postgres.ts'

/** The oid of each table. */
async function oids(client: pg.Client, ...names: string[]): Promise<number[]> {
  const { rows } = await client.query(
    'select n, n::regclass::oid::int as oid from unnest($1::text[]) with ordinality u(n, i) order by i',
    [names],
  )
  return rows.map(({ oid }) => oid as number)
}

function coverageOf(messages: readonly ChangeMessage[]): NonNullable<ChangeMessage['coverage']> | undefined {
  return messages.findLast(({ coverage }) => coverage !== null)?.coverage ?? undefined
}

function pairs({ hashes }: CommitChanges): string[] {
  const found: string[] = []
  for (let at = 0; at < hashes.length; at += 2) found.push(`${hashes[at]}.${hashes[at + 1]}`)
  return found.toSorted()
}

test('what the stream tells of rows and of the schema', async (t) => {
  const cluster = await startTestCluster(t, { replicas: 0 })
  const client = await connect(t, cluster.primary)
  const store = await connectTestStore(t)
  const trackings: Record<string, Tracking> = { keyed: 'key', keyless: 'key', audit: 'off' }
  const tracker = startTestTracker(t, {
    database: 'main',
    address: cluster.primary,
    store,
    trackingOf: (_schema, name) => trackings[name] ?? 'full',
  })
  await untilStreaming(tracker)
  const reader = new MessageReader(store, 'main')

  const watch = async (table: number, ...columns: string[]): Promise<string> => {
    const template = templateId(table, columns)
    await askToWatch(store, 'main', { tables: [table], templates: [template] })
    await reader.until('coverage', (messages) => coverageOf(messages)?.templates.has(template))
    return template
  }
  /** What a statement's own commit says; null where it says nothing. */
  const changesOf = async (sql: string): Promise<CommitChanges | null> => {
    const before = await readWritePosition(client)
    await client.query(sql)
    const { lsn } = await readWritePosition(client)
    await reader.until('the watermark', (messages) => (messages.at(-1)?.to ?? 0) >= lsn)
    return reader.all.flatMap(({ commits }) => commits).find(({ to }) => to > before.lsn && to <= lsn) ?? null
  }
  const refusalOf = async (table: number): Promise<string> => {
    await askToWatch(store, 'main', { tables: [table], templates: [] })
    return await until('the refusal', async () => {
      const status = tracker.status()
      return status.state === 'streaming' ? status.refused.find((refused) => refused.table === table)?.reason : null
    })
  }
  const row = (template: string, ...values: string[]): string => hashRow(template, values).join('.')

  await t.test('full tracking names rows by any column, before and after', async () => {
    await client.query('create table articles (id int primary key, slug text, author int, body text)')
    const [table = 0] = await oids(client, 'articles')
    const bySlug = await watch(table, 'slug')
    const byAuthor = await watch(table, 'author')
    const insert = await changesOf(`insert into articles values (1, 'a', 7, repeat('x', 100000)), (2, null, 8, '')`)
    assert.deepEqual(insert && pairs(insert), [row(bySlug, 'a'), row(byAuthor, '7'), row(byAuthor, '8')].toSorted())
    const update = await changesOf(`update articles set slug = 'b' where id = 1`)
    assert.deepEqual(update && pairs(update), [row(bySlug, 'a'), row(bySlug, 'b'), row(byAuthor, '7')].toSorted())
    const remove = await changesOf('delete from articles where id = 1')
    assert.deepEqual(remove && pairs(remove), [row(bySlug, 'b'), row(byAuthor, '7')].toSorted())
    assert.deepEqual(
      [insert, update, remove].map((change) => change?.wide),
      [[], [], []],
    )
    assert.equal(await changesOf('begin; insert into articles values (9); rollback'), null)
    assert.equal(coverageOf(reader.all)?.tables.get(table)?.tracking, 'full')
  })

  await t.test('a value that is stored apart and did not change is known all the same', async () => {
    await client.query('create table stored (id int primary key, big text)')
    await client.query('alter table stored alter column big set storage external')
    const [table = 0] = await oids(client, 'stored')
    const byBig = await watch(table, 'big')
    const big = 'é'.repeat(5000)
    await client.query('insert into stored values (1, $1)', [big])
    const update = await changesOf('update stored set id = 2')
    assert.deepEqual(update && pairs(update), [row(byBig, big)])
  })

  await t.test('texts are hashed as the server prints them, whatever they begin with', async () => {
    await client.query('create table texts (id int primary key, t text, flag boolean)')
    const [table = 0] = await oids(client, 'texts')
    const byText = await watch(table, 't')
    const byFlag = await watch(table, 'flag')
    const insert = await changesOf(`insert into texts values (1, U&'\\FEFFbom \\+01F600', true)`)
    assert.deepEqual(insert && pairs(insert), [row(byText, '\uFEFFbom \u{1F600}'), row(byFlag, 't')].toSorted())
  })

  await t.test('key tracking names rows by their key, and the table for everything else', async () => {
    await client.query('create table keyed (id int primary key, name text)')
    const [table = 0] = await oids(client, 'keyed')
    const byId = await watch(table, 'id')
    const insert = await changesOf(`insert into keyed values (1, 'a')`)
    assert.deepEqual(insert && pairs(insert), [row(byId, '1')])
    const update = await changesOf(`update keyed set name = 'b'`)
    assert.deepEqual(update && pairs(update), [row(byId, '1')])
    const moved = await changesOf('update keyed set id = 2')
    assert.deepEqual(moved && pairs(moved), [row(byId, '1'), row(byId, '2')].toSorted())
    assert.deepEqual(moved?.wide, [])
    await watch(table, 'name')
    assert.deepEqual((await changesOf(`insert into keyed values (3, 'c')`))?.wide, [])
    assert.deepEqual((await changesOf(`update keyed set name = 'd' where id = 2`))?.wide, [table])
    assert.deepEqual((await changesOf('delete from keyed where id = 2'))?.wide, [table])
    assert.equal(coverageOf(reader.all)?.tables.get(table)?.tracking, 'key')
    const { rows } = await client.query(`select relreplident from pg_class where oid = $1`, [table])
    assert.equal(rows[0].relreplident, 'd')
  })

  await t.test('tables with computed columns can be changed as before, and are followed', async () => {
    await client.query('create table stored_g (id int primary key, twice int generated always as (id * 2) stored)')
    await client.query('create table virtual_g (id int primary key, twice int generated always as (id * 2) virtual)')
    await client.query('create table virtual_keyless (id int, twice int generated always as (id * 2) virtual)')
    const [stored = 0, virtual = 0, keyless = 0] = await oids(client, 'stored_g', 'virtual_g', 'virtual_keyless')
    const byTwice = await watch(stored, 'twice')
    await client.query('insert into stored_g values (1)')
    const update = await changesOf('update stored_g set id = 2')
    assert.deepEqual(update && pairs(update), [row(byTwice, '2'), row(byTwice, '4')].toSorted())
    const byId = await watch(virtual, 'id')
    await client.query('insert into virtual_g values (1)')
    const virtualUpdate = await changesOf('update virtual_g set id = 2')
    assert.deepEqual(virtualUpdate && pairs(virtualUpdate), [row(byId, '1'), row(byId, '2')].toSorted())
    // Not in the stream: any change may be one of its rows.
    await watch(virtual, 'twice')
    assert.deepEqual((await changesOf('insert into virtual_g values (5)'))?.wide, [virtual])
    assert.match(await refusalOf(keyless), /virtual/)
    await client.query('create table becomes (id int primary key)')
    const [becomes = 0] = await oids(client, 'becomes')
    await watch(becomes, 'id')
    await client.query('insert into becomes values (1)')
    await client.query('alter table becomes add column twice int generated always as (id * 2) virtual')
    await until('it can be changed again', async () => (await client.query('update becomes set id = 2')).rowCount === 1)
  })

  await t.test('a table that loses its key under key tracking leaves, and can be changed again', async () => {
    trackings['unkeyed'] = 'key'
    await client.query('create table unkeyed (id int primary key)')
    const [table = 0] = await oids(client, 'unkeyed')
    await watch(table, 'id')
    await client.query('insert into unkeyed values (1)')
    await client.query('alter table unkeyed drop constraint unkeyed_pkey')
    await until('it can be changed again', async () => (await client.query('update unkeyed set id = 2')).rowCount === 1)
    await reader.until('the coverage to go', (messages) => coverageOf(messages)?.tables.has(table) === false)
  })

  await t.test('TRUNCATE names the tables, also those it reaches', async () => {
    await client.query('create table parents (id int primary key)')
    await client.query('create table children (id int primary key, parent int references parents)')
    const [parents = 0, children = 0] = await oids(client, 'parents', 'children')
    await watch(parents, 'id')
    await watch(children, 'id')
    const change = await changesOf('truncate parents cascade')
    assert.deepEqual(new Set(change?.wide), new Set([parents, children]))
  })

  await t.test('a partition speaks for the tables above it, also when it comes later', async () => {
    await client.query('create table measures (id int, day int, primary key (id, day)) partition by range (day)')
    await client.query(
      'create table measures_a partition of measures for values from (0) to (10) partition by list (day)',
    )
    await client.query('create table measures_a1 partition of measures_a for values in (1)')
    const [root = 0, middle = 0, leaf = 0] = await oids(client, 'measures', 'measures_a', 'measures_a1')
    const byId = await watch(root, 'id')
    const change = await changesOf('insert into measures values (5, 1)')
    assert.deepEqual(new Set(change?.tables), new Set([root, middle, leaf]))
    assert.deepEqual(change && pairs(change), [row(byId, '5')])
    const ddl = await changesOf('create table measures_b partition of measures for values from (10) to (20)')
    assert.equal(ddl?.everything, true)
    const [later = 0] = await oids(client, 'measures_b')
    const second = await changesOf('insert into measures values (6, 12)')
    assert.deepEqual(new Set(second?.tables), new Set([root, later]))
    assert.deepEqual(second && pairs(second), [row(byId, '6')])
    // The leaf's own identity: until the tracker has changed it, the old row is not known.
    await until('its replica identity', async () => {
      const { rows } = await client.query(`select relreplident from pg_class where relname = 'measures_b'`)
      return rows[0].relreplident === 'f'
    })
    const truncated = await changesOf('truncate measures_b')
    assert.ok(truncated?.wide.includes(root) && truncated.wide.includes(later))
    await client.query('create table attached (id int, day int, primary key (id, day))')
    await client.query('alter table measures attach partition attached for values from (20) to (30)')
    const [attached = 0] = await oids(client, 'attached')
    assert.deepEqual(
      new Set((await changesOf('insert into attached values (7, 22)'))?.tables),
      new Set([root, attached]),
    )
    assert.equal((await changesOf('alter table measures detach partition attached concurrently'))?.everything, true)
    assert.equal(await changesOf('insert into attached values (8, 23)'), null)
  })

  await t.test('DDL changes everything, in its own place', async () => {
    await client.query('create table shaped (id int primary key, a text, b int)')
    await client.query(`create type mood as enum ('sad', 'fine'); create view shown as select id from shaped`)
    await client.query('create materialized view kept as select 1 as one')
    const [table = 0] = await oids(client, 'shaped')
    await watch(table, 'a')
    for (const sql of [
      'alter table shaped alter column b type bigint using b * 2',
      'alter table shaped add column c int default 7',
      'alter table shaped rename column a to d',
      'create or replace view shown as select id, d from shaped',
      `alter type mood rename value 'sad' to 'bad'`,
      'create function one() returns int language sql as $$ select 1 $$',
      'drop function one()',
      'create policy p on shaped using (true)',
      'alter table shaped rename to reshaped',
      'drop materialized view kept',
      'drop table reshaped cascade',
      'create schema s; create table s.t (id int); drop schema s cascade',
      `set session_replication_role = replica; create table replayed (id int); set session_replication_role = origin`,
    ]) {
      assert.equal(
        (await changesOf(sql).catch((error: unknown) => assert.fail(`${sql}: ${String(error)}`)))?.everything,
        true,
        sql,
      )
    }
  })

  await t.test('what nobody can depend on is not told of', async () => {
    await client.query(
      'create table plain (id int primary key, a text); create materialized view mv as select * from plain',
    )
    const [table = 0] = await oids(client, 'plain')
    await watch(table, 'a')
    for (const sql of [
      'create temp table scratch (id serial primary key, t text default 1)',
      'create temp view peek as select * from scratch',
      'alter table scratch add column more int',
      'drop table scratch cascade',
      'create temp table gone on commit drop as select 1 as one',
      'create table if not exists plain (id int)',
      'create index on plain (a)',
      'refresh materialized view mv',
      `comment on table plain is 'plain'`,
      'begin; alter table plain add column rolled int; rollback',
      'analyze plain',
    ]) {
      assert.equal(await changesOf(sql), null, sql)
    }
  })

  await t.test('a template follows its column by name: what is renamed away widens', async () => {
    await client.query('create table renamed (id int primary key, old text)')
    const [table = 0] = await oids(client, 'renamed')
    const template = await watch(table, 'old')
    await changesOf('alter table renamed rename column old to new')
    assert.deepEqual((await changesOf(`insert into renamed values (1, 'x')`))?.wide, [table])
    await changesOf('alter table renamed rename column new to old')
    const change = await changesOf(`insert into renamed values (2, 'y')`)
    assert.deepEqual(change && pairs(change), [row(template, 'y')])
  })

  await t.test('names that are touched, inside of transactions and outside', async () => {
    const touch = (transactional: boolean, name: string) =>
      `select pg_logical_emit_message(${transactional}, 'fourfold:touch', '${name}', true)`
    const inside = await changesOf(`begin; ${touch(true, 'weather')}; ${touch(true, 'prices')}; commit`)
    assert.deepEqual(
      inside && pairs(inside),
      [hashName('weather'), hashName('prices')].map((pair) => pair.join('.')).toSorted(),
    )
    assert.equal(await changesOf(`begin; ${touch(true, 'never')}; rollback`), null)
    await client.query(`begin; ${touch(false, 'wänd')}; rollback`)
    const expected = hashName('wänd').join('.')
    await reader.until('the name', (messages) =>
      messages.some(({ commits }) => commits.some((change) => pairs(change).includes(expected))),
    )
  })

  await t.test('a large transaction names whole tables', async () => {
    await client.query('create table large (id int primary key, v int); create table small (id int primary key)')
    const [large = 0, small = 0] = await oids(client, 'large', 'small')
    await watch(large, 'id')
    const bySmall = await watch(small, 'id')
    const fits = await changesOf('insert into large select g, g from generate_series(1, 5000) g')
    assert.equal(fits?.hashes.length, 10_000)
    assert.deepEqual(fits.wide, [])
    const change = await changesOf('begin; insert into small values (1); update large set id = -id; commit')
    assert.ok(change !== null && change.wide.includes(large))
    assert.ok(change.wide.includes(small) || pairs(change).includes(row(bySmall, '1')))
    assert.deepEqual((await changesOf('insert into large values (0, 0)'))?.wide, [])
  })

  await t.test('what cannot be watched is refused with its reason', async () => {
    await client.query(`
      create unlogged table fleeting (id int primary key); create table guarded (id int primary key);
      alter table guarded enable row level security; create table keyless (id int); create table audit (id int primary key);
      create view seen as select 1 as one; create materialized view mats as select 1 as one;
      create table parted (id int) partition by list (id);
      create table heir_parent (id int primary key); create table heir (x int) inherits (heir_parent);
      create role stranger; create table theirs (id int primary key); alter table theirs owner to stranger`)
    const named = await oids(client, 'fleeting', 'guarded', 'keyless', 'audit', 'seen', 'mats', 'parted', 'heir_parent')
    const reasons: string[] = []
    for (const table of named) reasons.push(await refusalOf(table))
    const expected = [
      /unlogged/,
      /row-level/,
      /no primary key/,
      /off/,
      /a view/,
      /materialised/,
      /partitioned/,
      /inheritance/,
    ]
    for (const [index, pattern] of expected.entries()) assert.match(reasons[index] ?? '', pattern)
    const before = await client.query('update keyless set id = 1')
    assert.equal(before.rowCount, 0, 'tables that are not watched go on as they were')
    // The reason can go away.
    await client.query('alter table keyless add primary key (id)')
    await reader.until('it to be watched', (messages) => coverageOf(messages)?.tables.has(named[2] ?? 0))
  })

  await t.test('a table that comes to be guarded by policies is not covered any more', async () => {
    await client.query('create table secrets (id int primary key)')
    const [table = 0] = await oids(client, 'secrets')
    await watch(table, 'id')
    await client.query('alter table secrets enable row level security')
    await reader.until('the coverage to go', (messages) => coverageOf(messages)?.tables.has(table) === false)
  })

  await t.test('the chain of messages has no hole', () => {
    for (const [index, message] of reader.all.entries()) {
      if (index > 0) assert.equal(message.from, reader.all[index - 1]?.to)
      assert.ok(message.visible <= message.to && message.from <= message.to)
      for (const { to } of message.commits) assert.ok(to > message.from && to <= message.to)
    }
    assert.equal(new Set(reader.all.map(({ tracker: run }) => run)).size, 1, 'all of this was one run')
  })
})
