import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'

import { immutableFunctions } from '../../src/engines/postgres/classify/functions.ts'
import { exactSettings, exactTypeNames } from '../../src/engines/postgres/changes/exact-types.ts'
import { type Catalogue, loadCatalogue } from '../../src/engines/postgres/reads/catalogue.ts'
import { evaluateReads } from '../../src/engines/postgres/reads/evaluate.ts'
import { isKnownAggregate } from '../../src/engines/postgres/reads/aggregates.ts'
import { callEffect } from '../../src/engines/postgres/reads/functions.ts'
import { loadReadAnalyser, type ReadAnalyser, type ReadPlan } from '../../src/engines/postgres/reads/plan.ts'
import { type Ground, openGround } from '../verify/read-plans/server.ts'

import type pg from 'pg'

const schema = `
create schema shop; create schema other;
create type shop.mood as enum ('sad', 'ok');
create domain shop.small as int check (value < 100);
create collation shop.nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create table shop.items (
  id int primary key, name text, code varchar(5), nd text collate shop.nd, u uuid, f bool, m shop.mood, s shop.small,
  twice int generated always as (id * 2) stored, late int generated always as (id * 3) virtual, c char(3), n numeric);
create table other.items (id int, secret text);
create table shop.secrets (id int); alter table shop.secrets enable row level security;
create unlogged table shop.quick (id int);
create materialized view shop.stale as select 1 as id;
create sequence shop.counter;
create table shop.parts (id int, k int) partition by list (k);
create table shop.parts_1 partition of shop.parts for values in (1) partition by list (id);
create table shop.parts_1_1 partition of shop.parts_1 for values in (1);
create table shop.halves (id int) partition by list (id);
create unlogged table shop.halves_1 partition of shop.halves for values in (1);
create table shop.parent (id int, k int);
create table shop.child (id int, k int) inherits (shop.parent);
create table shop.grandchild (more int) inherits (shop.child);
create table shop."Odd ""Name" ("The id" int);
create view shop.named as select i.id, i.code as name, o.secret from shop.items i left join other.items o using (id)
  where i.m in ('ok', 'sad') and i.code in ('x', 'y');
create view shop."over" as select name as label, id from shop.named where id > 3;
create view shop.typed as select 'now'::timestamptz as at, id from shop.items where f;
create function shop.lower(mytext shop.mood) returns text immutable language sql as 'select ''x''';
create function shop.first_word(text) returns text immutable language sql as 'select split_part($1, '' '', 1)';
create function shop.same(shop.mood, shop.small) returns bool immutable language sql as 'select true';
create operator shop.=== (leftarg = shop.mood, rightarg = shop.small, function = shop.same);
create extension citext schema shop; create extension pg_trgm schema shop;
create table shop.mails (id int, mail shop.citext);
set search_path = shop, public;`

describe('a catalogue, loaded from a server', () => {
  let ground: Ground
  let client: pg.Client
  let catalogue: Catalogue
  let analyser: ReadAnalyser
  const endings: (() => Promise<void>)[] = []
  before(async () => {
    ground = await openGround({ after: (end: () => Promise<void>) => endings.push(end) })
    client = await ground.newDatabase()
    await client.query(schema)
    await client.query('create temporary table items (id int)')
    analyser = await loadReadAnalyser()
    catalogue = await loadCatalogue(client)
  })
  after(async () => {
    for (const end of endings) await end()
  })

  const written = (plan: ReadPlan): string => {
    if (!plan.cacheable) return `refused: ${plan.reason}`
    return evaluateReads(plan, [])
      .map(({ name, columns, values }) =>
        columns === null ? name : `${name}(${columns.join(',')})${values.map((one) => one.join(',')).join(' ')}`,
      )
      .toSorted()
      .join('; ')
  }

  const cases: Readonly<Record<string, string>> = {
    'select * from items where id = 1': 'shop.items(id)1',
    'select * from other.items where id = 1': 'other.items(id)1',
    [`select * from items where name = 'a' and code = 'b'`]: 'shop.items(code,name)b,a',
    [`select * from items where nd = 'a'`]: 'shop.items',
    [`select * from items where name = 'a' collate nd`]: 'shop.items',
    'select * from items where twice = 2': 'shop.items',
    'select * from items where late = 2': 'shop.items',
    'select * from items where s = 2': 'shop.items',
    [`select * from items where c = 'x'`]: 'shop.items',
    [`select * from items where m = 'ok'`]: 'shop.items(m)ok',
    [`select * from items where m = 'ok'::shop.mood`]: 'shop.items(m)ok',
    [`select * from mails where mail = 'a@b.c'`]: 'shop.mails',
    [`select * from items where name = 'x'::citext`]: 'shop.items',
    [`select replace(name, 'a', 'b') from items where id = 1`]: 'shop.items(id)1',
    [`select similarity(name, 'a') from items where id = 1`]: 'shop.items(id)1',
    [`select * from items where name % 'a'`]: `refused: % may be an operator of the app's own`,
    'select first_word(name) from items': 'refused: first_word() is not known to depend on its arguments alone',
    'select lower(name) from items': `refused: lower() may be a function of the app's own`,
    'select pg_catalog.lower(name) from items where id = 1': 'shop.items(id)1',
    'select * from items where m === s': `refused: === may be an operator of the app's own`,
    'select * from secrets': 'refused: shop.secrets has row-level security',
    'select * from quick': 'refused: shop.quick is unlogged',
    'select * from stale': 'refused: shop.stale is a materialised view',
    'select * from counter': 'refused: shop.counter is a sequence',
    'select * from parts where k = 1': 'shop.parts(k)1',
    'select * from parts_1 where k = 1': 'shop.parts_1(k)1',
    'select * from parts_1_1 where k = 1': 'shop.parts_1_1(k)1',
    'select * from halves': 'refused: shop.halves: its part shop.halves_1 is unlogged',
    'select * from parent where id = 1': 'shop.child(id)1; shop.grandchild(id)1; shop.parent(id)1',
    'select * from only parent where id = 1': 'shop.parent(id)1',
    'select * from "Odd ""Name" where "The id" = 4': 'shop.Odd "Name(The id)4',
    'select * from named where id = 1': 'other.items(id)1; shop.items(code,id,m)x,1,ok x,1,sad y,1,ok y,1,sad',
    [`select * from "over" where label = 'z' and id = 4`]: 'other.items(id)4; shop.items(code,id,m)z,4,ok z,4,sad',
    'select * from typed where id = 2': 'shop.items(f,id)t,2',
    'select * from pg_tables': 'refused: pg_tables is a system catalogue',
    'select * from information_schema.tables': 'refused: tables is a system catalogue',
    'select * from pg_temp.items': 'refused: pg_temp.items is temporary',
  }
  for (const [sql, expected] of Object.entries(cases)) {
    test(`${sql} → ${expected}`, () => assert.equal(written(analyser.plan(sql, catalogue)), expected))
  }

  test('the search path is that of the connection, without temporary tables', () => {
    assert.deepEqual(catalogue.searchPath, ['pg_catalog', 'shop', 'public'])
    assert.equal(catalogue.role, 'fourfold')
  })

  test('an = of the app’s own turns all narrowing off', async () => {
    await client.query(`begin; create function shop.odd(int, text) returns bool immutable language sql as 'select true';
      create operator shop.= (leftarg = int, rightarg = text, function = shop.odd)`)
    const changed = await loadCatalogue(client)
    await client.query('rollback')
    assert.equal(changed.ownEquality, true)
    assert.equal(catalogue.ownEquality, false)
  })

  test('an implicit cast with code of the app’s own turns caching off, one by text alone does not', async () => {
    await client.query(`begin; create cast (int as bool) with inout as implicit`).catch(() => client.query('rollback'))
    await client.query('rollback; begin; create cast (text as int) with inout as implicit')
    const harmless = await loadCatalogue(client)
    await client.query(`create function shop.year(date) returns int volatile language sql as 'select 1';
      create cast (date as int) with function shop.year(date) as implicit`)
    const harmful = await loadCatalogue(client)
    await client.query('rollback')
    assert.equal(harmless.ownCast, null)
    assert.equal(harmful.ownCast, 'date to integer')
  })

  test('functions on the list are immutable in every form that the server has', async () => {
    const { rows } = await client.query(`select proname as name, array_agg(distinct provolatile::text) as volatility,
      bool_or(prokind = 'a') as aggregate from pg_proc where pronamespace = 'pg_catalog'::regnamespace group by 1`)
    const known = new Map(rows.map((row) => [row.name as string, row]))
    for (const name of immutableFunctions) {
      const volatility = known.get(name)?.volatility ?? ['i']
      assert.deepEqual(volatility, ['i'], name)
    }
    for (const [name, row] of known) {
      const allowed = [0, 1, 2, 3].some((count) => callEffect(name, count, true) !== 'unknown')
      if (allowed && row.aggregate === true) assert.ok(isKnownAggregate(name), `${name} is an aggregate`)
      const volatile = row.volatility.includes('v')
      if (volatile) for (const count of [0, 1, 2, 3]) assert.notEqual(callEffect(name, count, true), 'none', name)
    }
  })

  test('types that print exactly are the server’s own, and tell apart what is nearly the same', async () => {
    const { rows } = await client.query(
      `select typname as name, oid::int from pg_type where typnamespace = 'pg_catalog'::regnamespace and typname = any ($1)`,
      [[...exactTypeNames.keys()]],
    )
    const found = new Map(rows.map(({ name, oid }) => [name as string, oid as number]))
    for (const [name, oid] of exactTypeNames) assert.equal(found.get(name), oid, name)
    const pairs = {
      float8: ['0.3', '0.30000000000000004'],
      float4: ['0', '-0'],
      numeric: ['1', '1.0'],
      interval: ['1 month', '30 days'],
      timestamptz: ['2026-10-25 02:30+02', '2026-10-25 02:30+01'],
      _text: ['{NULL}', '{"NULL"}'],
      _int4: ['{1}', '[0:0]={1}'],
      bytea: ['\\x5c', '\\x5c5c'],
      timestamp: ['2026-01-01 00:00:00', '2026-01-01 00:00:00.000001'],
      numrange: ['[1,2)', '[1,2]'],
      jsonb: ['1', '1.0'],
    }
    const settings = `extra_float_digits = 0; set datestyle = 'SQL'; set timezone = 'Europe/Berlin'; set bytea_output = escape`
    await client.query(`begin; set ${settings}; ${exactSettings.join('; ')}`)
    for (const [type, [one, other]] of Object.entries(pairs)) {
      const { rows: printed } = await client.query(`select $1::${type}::text as one, $2::${type}::text as other`, [
        one,
        other,
      ])
      assert.notEqual(printed[0].one, printed[0].other, type)
    }
    await client.query('rollback')
  })

  test('stable operators are known: they compare or add dates, print, or search text', async () => {
    const { rows } =
      await client.query(`select distinct oprname as name from pg_operator o join pg_proc p on p.oid = oprcode
      where provolatile <> 'i' and oprnamespace = 'pg_catalog'::regnamespace order by 1`)
    assert.deepEqual(
      rows.map(({ name }) => name as string),
      ['+', '-', '<', '<=', '<>', '=', '>', '>=', '@@', '||'],
    )
  })
})
