import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'

import { type Classifier, loadClassifier } from '../../src/engines/postgres/classify.ts'
import { createRecentMap } from '../../src/engines/postgres/classify/recent-map.ts'

let classifier: Classifier
before(async () => {
  classifier = await loadClassifier({ readFunctions: ['my_score', 'app.rank_of'] })
})

function everyIs(kind: string, statements: readonly string[]): void {
  for (const sql of statements) {
    test(`${kind}: ${sql.slice(0, 100)}`, () => {
      const found = classifier.classify(sql)
      assert.equal(found.kind, kind, `${sql} → ${found.kind} (${found.reason})`)
    })
  }
}

describe('a standby may answer', () => {
  everyIs('read', [
    'select 1',
    'SELECT * FROM articles WHERE id = $1',
    'select $1::int + $2',
    'values (1), (2)',
    'table articles',
    'select now(), current_timestamp, current_date, localtime',
    'select random(), gen_random_uuid(), clock_timestamp()',
    'with a as (select 1 as x) select * from a',
    'with recursive t(n) as (values (1) union all select n + 1 from t where n < 10) select sum(n) from t',
    'with recursive t as (select id from a union all select a.id from a join t on a.up = t.id) search depth first by id set o select * from t',
    'select count(*) filter (where x > 1) over (partition by y order by z rows between 1 preceding and current row) from t window w as (order by a)',
    'select a from t union select b from u except (select c from v intersect select 1) order by 1 limit 3 offset 1',
    'select lower(name) || $1, coalesce(a, b), greatest(a, 1), nullif(a, b), case when a then 1 else 2 end from t',
    `select x::jsonb -> 'a' ->> 'b', array[1, 2], (array[1, 2])[1], row(1, 2), t.*, x collate "C" from t`,
    'select * from a left join b using (id) cross join lateral (select * from c where c.a = a.id limit 1) d',
    'select * from generate_series(1, 3) as g(n), unnest($1::int[]) with ordinality',
    `select * from json_to_recordset('[]') as x(a int, b text)`,
    `select * from json_table('[]', '$[*]' columns (id for ordinality, a int path '$.a'))`,
    `select json_object('a': 1), json_array(1, 2), json_arrayagg(x), json_value(x, '$.a'), x is json from t`,
    `select xmlelement(name a, 1), extract(year from now()), substring('a' from 1 for 2), position('a' in 'b'), trim('a'), overlay('abc' placing 'x' from 1)`,
    'select a, grouping(a) from t group by rollup (a), cube (b), grouping sets ((a), ())',
    'select distinct on (a) a from t where exists (select 1 from u) and a in (select 2) and b = any ($1) and c between 1 and 2',
    'select * from t tablesample system (10)',
    `select '; delete from t' -- drop table t`,
    `/* insert into t */ select 'insert into t values (1)'`,
    'select "nextval" from t',
    'select relname from pg_class where oid = $1::regclass',
    'select * from information_schema.columns',
    'select * from pg_catalog.pg_tables',
    'explain select * from t',
    'explain (analyze, buffers) select * from t',
    'select 1; select 2',
    'select my_score(a), app.rank_of(b) from t',
    'select pg_catalog.lower(a), pg_sleep(0) from t',
    'select a at time zone $1, (a, b) overlaps (c, d) from t',
    `select to_tsvector('english', body) @@ websearch_to_tsquery($1), ts_rank(a, b) from t`,
    'select row_to_json(t), jsonb_agg(t order by t.id), string_agg(a, $1), percentile_cont(0.5) within group (order by a) from t',
    'select current_user, session_user, current_schema',
  ])
})

describe('only the primary may answer, because it writes or may write', () => {
  everyIs('write', [
    'insert into t values (1)',
    'insert into t select * from u returning *',
    ' UPDATE t set a = 1 where id = $1',
    'delete from t;',
    'merge into t using u on t.id = u.id when matched then delete',
    'with a as (insert into t values (1) returning *) select * from a',
    'with a as (select 1), b as (delete from t returning *) select * from a, b',
    'select * from (with a as (update t set a = 1 returning 1) select * from a) b',
    'select 1 into x',
    'select * into temp x from t',
    'create table x as select 1',
    'create temp table x (a int)',
    'select * from t for update',
    'select * from t for no key update skip locked',
    'select * from t for share of t nowait',
    'select * from t for key share',
    'select * from (select * from t for update) x',
    `select nextval('s')`,
    `select pg_catalog.nextval('s')`,
    `select setval('s', 1)`,
    `select a from t where b = (select nextval('s'))`,
    `select pg_notify('a', 'b')`,
    `notify a, 'b'`,
    'select lo_create(0)',
    `select lo_import('/x')`,
    'select lo_unlink(1)',
    `select * from dblink('x', 'delete from t') as d(a int)`,
    `select dblink_exec('x', 'delete from t')`,
    'select my_function(1)',
    'select public.lower(1)',
    'select other.my_score(1)',
    'select txid_current()',
    'select pg_current_xact_id()',
    `select pg_logical_emit_message(true, 'a', 'b')`,
    `select query_to_xml('delete from t', true, true, '')`,
    `select * from ts_stat('delete from t')`,
    `select ts_rewrite('a'::tsquery, 'delete from t')`,
    'select * from my_rows(1)',
    'call p()',
    'do $$ begin end $$',
    'lock table t',
    'truncate t',
    'drop table t',
    'alter table t add a int',
    'vacuum t',
    'analyze t',
    'refresh materialized view v',
    'grant select on t to u',
    'copy t to stdout',
    'copy t from stdin',
    'copy (select 1) to stdout',
    'explain analyze delete from t',
    'explain insert into t values (1)',
    'explain select * from t for update',
    'execute p(1)',
    'select 1; delete from t',
    'delete from t; select 1',
    'insert into t values (1); set x.y = 1',
    'begin; insert into t values (1); commit',
    `commit prepared 'x'`,
    'selec 1',
    'select from where',
    `select 'unfinished`,
    'select 1; oops',
    `select set_config('a.b', 'c', false), nextval('s')`,
  ])
})

describe('bound to one connection or server', () => {
  everyIs('session', [
    'set search_path to x',
    'set local x.y = 1',
    'set session characteristics as transaction read only',
    'set role x',
    'reset all',
    'show search_path',
    'listen x',
    'unlisten *',
    'discard all',
    'prepare p as select 1',
    'deallocate all',
    'declare c cursor for select 1',
    'fetch 1 from c',
    'close c',
    `select set_config('a.b', 'c', false)`,
    `select current_setting('a.b')`,
    'select pg_advisory_lock(1)',
    'select pg_try_advisory_xact_lock(1)',
    `select currval('s'), lastval()`,
    'select pg_backend_pid()',
    'select pg_is_in_recovery()',
    'select * from pg_stat_activity',
    'select * from pg_catalog.pg_stat_replication',
    'select * from pg_replication_slots',
    'select * from pg_settings, pg_locks',
    'select * from pg_temp.x',
    'select 1; set x.y = 1',
    '',
    '  \n',
    '-- nothing',
    ';',
  ])
})

describe('transaction control', () => {
  everyIs('transaction', [
    'begin',
    'BEGIN ISOLATION LEVEL SERIALIZABLE',
    'start transaction read only',
    'commit',
    'end',
    'commit and chain',
    'rollback',
    'abort',
    'savepoint a',
    'release a',
    'rollback to savepoint a',
    `prepare transaction 'x'`,
    'begin; select 1; commit',
  ])

  test('it is told what a text leaves open', () => {
    const left = (sql: string): unknown => {
      const { transaction, readOnly } = classifier.classify(sql)
      return [transaction, readOnly]
    }
    assert.deepEqual(left('begin'), ['opens', false])
    assert.deepEqual(left('begin read only'), ['opens', true])
    assert.deepEqual(left('start transaction isolation level repeatable read, read only'), ['opens', true])
    assert.deepEqual(left('begin read write'), ['opens', false])
    assert.deepEqual(left('commit'), ['closes', false])
    assert.deepEqual(left('commit and chain'), ['opens', false])
    assert.deepEqual(left('begin; select 1; commit'), ['closes', false])
    assert.deepEqual(left('savepoint a'), ['none', false])
    assert.deepEqual(left('rollback to a'), ['none', false])
    assert.deepEqual(left('insert into t values (1); begin'), ['opens', false])
    assert.deepEqual(left('select 1'), ['none', false])
  })
})

test('it is told whether the connection is as before', () => {
  const changes = (sql: string): boolean => classifier.classify(sql).changesSession
  for (const sql of [
    'set a.b = 1',
    'listen x',
    'create temp table x (a int)',
    'select 1 into temp x',
    'prepare p as select 1',
    `select set_config('a.b', '', false)`,
    'select pg_advisory_lock(1)',
    'create temp view v as select 1',
    'create temp table x as select 1',
    'insert into t values (1); set a.b = 1',
  ]) {
    assert.equal(changes(sql), true, sql)
  }
  for (const sql of [
    'select 1',
    'insert into t values (1)',
    'begin',
    'show a',
    'create table x (a int)',
    `select current_setting('a')`,
  ]) {
    assert.equal(changes(sql), false, sql)
  }
})

test('the reason names what stood in the way', () => {
  assert.match(classifier.classify('select my_function(1)').reason, /my_function.*readFunctions/)
  assert.match(classifier.classify('selec 1').reason, /not understood/)
  assert.equal(classifier.classify('select 1').reason, '')
})

test('the same text is classified once', () => {
  assert.equal(classifier.classify('select 12345'), classifier.classify('select 12345'))
})

test('the memory is bounded and keeps what is in use', () => {
  const map = createRecentMap<number>(10)
  map.set('kept', 0)
  for (let index = 0; index < 1_000; index++) {
    map.set(`text ${index}`, index)
    assert.equal(map.get('kept'), 0)
    assert.ok(map.size <= 10, `${map.size} entries`)
  }
  assert.equal(map.get('text 1'), undefined)
  assert.equal(map.get('text 999'), 999)
})

describe('queries that differ in their literals alone', () => {
  const alike = (one: string, other: string): void => {
    test(`${one} is ${other}`, () => assert.equal(classifier.classify(one), classifier.classify(other)))
  }
  const apart = (one: string, other: string): void => {
    test(`${one} is not ${other}`, () => assert.notEqual(classifier.classify(one), classifier.classify(other)))
  }
  alike(`select * from a1 where b = 17 and c = 'x'`, `select * from a1 where b = 4.5e3 and c = 'it''s; delete from t'`)
  alike(`select 'a', "b'c" from t`, `select 'd', "b'c" from t`)
  alike('select $1::int + 1', 'select $1::int + 2')
  apart('select * from a1 where b = 1', 'select * from a2 where b = 1')
  apart(`select 1 as "x'"`, `select 1 as "y'"`)
  apart('select $1 + 1', 'select $2 + 1')

  everyIs('read', [`select 1 where 'a' = 'b'`, `select 2 where 'nextval(1)' = '; drop table t'`])
  everyIs('write', [
    `select 'a' where f(1)`,
    `select 'a'; delete from t where a = 1`,
    `select 'b'; delete from t where a = 2`,
    `with x as (delete from t where a = 1 returning 1) select * from x`,
    `with x as (delete from t where a = 2 returning 1) select * from x`,
    `select nextval('a')`,
    `select nextval('b')`,
    `select 1 from t where a = 1 for update`,
    `select 1 from t where a = 2 for update`,
  ])

  test('no literal changes what a statement is judged to be', async () => {
    const forgetful = await loadClassifier({ maxEntries: 2 })
    const heads = [
      'select',
      'select nextval',
      'select 1 for update;',
      'with a as (delete from t returning 1) select',
      'values',
      'explain select',
      'set a =',
      'delete from t; select',
    ]
    const literals = [
      `'x'`,
      `'it''s'`,
      `''`,
      `';delete from t;'`,
      `'--'`,
      String.raw`E'\''`,
      `$$ ' $$`,
      `$a$ ; delete from t $a$`,
      '1',
      '1.5e-7',
      '0x1F',
      '1_000',
      `/* ' */ 1`,
      `"a'b"`,
      String.raw`U&'d\0061'`,
      `x'1F'`,
    ]
    for (const head of heads) {
      for (const one of literals) {
        for (const other of literals) {
          const sql = `${head} (${one}, ${other})`
          classifier.classify(`${head} ('warm', 1)`)
          const fresh = await loadClassifier()
          assert.equal(classifier.classify(sql).kind, fresh.classify(sql).kind, sql)
          assert.equal(forgetful.classify(sql).kind, fresh.classify(sql).kind, sql)
        }
      }
    }
  })
})

test('names that a literal spells differently are told apart', () => {
  assert.equal(classifier.classify(`select * from U&"pg!005flocks" uescape '?'`).kind, 'read')
  assert.equal(classifier.classify(`select * from U&"pg!005flocks" uescape '!'`).kind, 'session')
})
