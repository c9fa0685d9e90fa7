import assert from 'node:assert/strict'
import { test } from 'node:test'

import { loadBreakingJudge } from '../../src/engines/postgres/migrations/breaking.ts'
import { planMigrations } from '../../src/engines/postgres/migrations/plan.ts'

import type { LoadedMigration } from '../../src/engines/postgres/migrations/files.ts'

const harmless = [
  'create table fresh (id int primary key, name text not null unique); alter table fresh add column x int not null; create unique index on fresh (x)',
  'alter table a add column b int',
  'alter table a add column b int not null default 0',
  'alter table a add column b serial not null',
  'alter table a add column b bigint generated always as identity not null',
  'alter table a add column b int unique',
  'alter table a add column b int references c (id)',
  'alter table a add column b int default 3 check (b > 0)',
  'alter table a alter b drop not null',
  'alter table a alter b set default 3',
  'alter table a drop constraint c',
  'alter table a validate constraint c',
  'alter table a set (fillfactor = 70)',
  'alter index i rename to j',
  'alter table a rename constraint c to d',
  'create index on a (b)',
  'create index concurrently on a (b)',
  'drop index i',
  "alter type t add value 'x'",
  'create view v as select 1',
  "create function f() returns int language sql as 'select 1'",
  'grant select on a to b',
  "comment on table a is 'x'",
  'insert into a values (1)',
  'update a set b = 1',
  'select pg_advisory_xact_lock(1)',
  'set local lock_timeout = 100',
  'create extension if not exists pg_trgm',
  'create table t2 (id int); drop table t2',
]

const breaking: readonly [string, RegExp][] = [
  ['drop table a', /drops the table a/],
  ['drop view s.v', /drops the view s\.v/],
  ['create table t2 (id int); drop table t2, a', /drops the table/],
  ['create table if not exists a (id int); alter table a drop column b', /drops a\.b/],
  ['create table if not exists a as select 1 as b; drop table a', /drops the table a/],
  ['alter table a drop column b', /drops a\.b/],
  ['alter table a rename b to c', /renames the column/],
  ['alter table a rename to c', /renames the table/],
  ['alter table a alter b type text', /changes the type of a\.b/],
  ['alter table a alter b set not null', /may write null to a\.b/],
  ['alter table a alter b drop default', /drops the default of a\.b/],
  ['alter table a add column b int not null', /leaves the new column a\.b out/],
  ['alter table a add column b int primary key', /leaves the new column a\.b out/],
  ['alter table a add column b int default 0 unique', /writes the default of the new column a\.b/],
  ['alter table a add column b int default 1 references c (id)', /writes the default/],
  ['alter table a add check (b > 0)', /a new constraint of a refuses/],
  ['alter table a add check (b > 0) not valid', /a new constraint of a refuses/],
  ['alter table a add unique (b)', /a new constraint/],
  ['alter table a add foreign key (b) references c (id)', /a new constraint/],
  ['create unique index on a (b)', /unique index on a/],
  ['create unique index concurrently on a (b)', /unique index on a/],
  ["alter type t rename value 'x' to 'y'", /renames the value x/],
  ['create or replace view v as select 1', /replaces the view v/],
  ["create or replace function f() returns int language sql as 'select 1'", /replaces a function/],
  ['create trigger t after insert on a execute function f()', /a trigger on a/],
  ['revoke select on a from b', /takes rights away/],
  ['delete from a', /deletes rows of a/],
  ['with gone as (delete from a returning *) insert into b select * from gone', /deletes rows/],
  ['truncate a', /empties tables/],
  ['alter table a enable row level security', /EnableRowSecurity/],
  ['alter table a detach partition b', /DetachPartition/],
  ["do $$ begin execute 'drop table a'; end $$", /cannot be judged/],
  ['call f()', /cannot be judged/],
  ['select 1; alter table a drop column b', /drops a\.b/],
]

test('what the build before can live with passes', async () => {
  for (const sql of harmless) assert.equal((await loadBreakingJudge()).judge(sql), null, sql)
})

test('what it cannot, and what cannot be judged, does not', async () => {
  for (const [sql, reason] of breaking) assert.match(String((await loadBreakingJudge()).judge(sql)), reason, sql)
})

const file = (name: string, alone = false): LoadedMigration => ({
  name,
  phase: name.endsWith('.contract') ? 'contract' : 'expand',
  up: () => Promise.resolve(),
  breaking: null,
  sql: '',
  alone,
})
const namesOf = (plan: ReturnType<typeof planMigrations>): (readonly string[])[] =>
  plan.batches.map(({ names }) => names)

test('a start runs everything in one transaction, but for what needs none', () => {
  assert.deepEqual(namesOf(planMigrations([file('1'), file('2.contract'), file('3')], [], 'all')), [
    ['1', '2.contract', '3'],
  ])
  assert.deepEqual(namesOf(planMigrations([file('1'), file('2', true), file('3'), file('4')], [], 'all')), [
    ['1'],
    ['2'],
    ['3', '4'],
  ])
})

test('the expand phase leaves contract migrations, and the contract phase runs them', () => {
  const files = [file('1'), file('2'), file('3.contract')]
  const expand = planMigrations(files, ['1'], 'expand')
  assert.deepEqual([namesOf(expand), expand.waiting, expand.shown], [[['2']], ['3.contract'], ['1', '2']])
  assert.deepEqual(namesOf(planMigrations(files, ['1', '2'], 'contract')), [['3.contract']])
})

test('an expand migration behind a contract migration that has not run is refused', () => {
  const files = [file('1.contract'), file('2')]
  assert.throws(() => planMigrations(files, [], 'expand'), /2 comes after the contract migration 1\.contract/)
  assert.deepEqual(namesOf(planMigrations(files, ['1.contract'], 'expand')), [['2']])
})

test('an older build runs on a database that was expanded by a newer one, not on one that it contracted', () => {
  assert.deepEqual(planMigrations([file('1')], ['1', '2'], 'all').ahead, ['2'])
  assert.throws(() => planMigrations([file('1')], ['1', '2.contract'], 'all'), /contracted by 2\.contract/)
  assert.throws(() => planMigrations([file('1'), file('1b')], ['1', '2'], 'all'), /bring both into one folder/)
})

test('a migration that has run and is not here, as when its file was renamed, is refused and does not run again', () => {
  assert.throws(
    () => planMigrations([file('1'), file('2_new')], ['1', '2_a'], 'all'),
    /has run 2_a, which are not here/,
  )
  assert.throws(
    () => planMigrations([file('1'), file('3')], ['1', '2', '3'], 'expand'),
    /has run 2, which are not here/,
  )
  assert.deepEqual(planMigrations([], ['1'], 'all').ahead, ['1'])
})
