/** Reads that cannot be cached, and those that can only for a time. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { planOf, volatile } from '../support/read-plans.ts'

describe('what is refused', () => {
  const refusals: Readonly<Record<string, string>> = {
    '': 'empty text',
    '-- nothing': 'empty text',
    'select 1; select 2': 'several statements in one text',
    'insert into a values (1)': 'InsertStmt is not a query',
    'explain select 1': 'ExplainStmt is not a query',
    'with x as (delete from a returning *) select * from x': 'DeleteStmt inside the statement is not a query',
    'select 1 into x': 'SELECT INTO makes a table',
    'select * from a for update': 'FOR UPDATE or FOR SHARE locks rows',
    'select * from (select * from a for share) s': 'FOR UPDATE or FOR SHARE locks rows',
    'select * from a tablesample system (10)': 'TABLESAMPLE gives other rows each time',
    'select * from secret': 'public.secret has row-level security',
    'select * from hidden': 'public.secret has row-level security',
    'select * from quick': 'public.quick is unlogged',
    'select * from stale': 'public.stale is a materialised view',
    'select * from far': 'public.far is a foreign table',
    'select * from counter': 'public.counter is a sequence',
    'select * from mixed': 'public.mixed: its part public.quick is unlogged',
    'select * from pg_temp.x': 'pg_temp.x is temporary',
    'select * from pg_class': 'pg_class is a system catalogue',
    'select ctid from a': 'ctid is a system column',
    'select * from a where a.xmin = 1': 'xmin is a system column',
    'select * from nowhere': 'there is no table nowhere in the catalogue, which may be out of date',
    'select * from elsewhere': 'there is no table elsewhere in the catalogue, which may be out of date',
    'select nothing from a': 'there is no column nothing in the catalogue, which may be out of date',
    'select x.id from a': 'there is no column x.id in the catalogue, which may be out of date',
    'select g.upper from unnest(array[1]) g':
      'g.upper may be a call of the function upper: name the columns of g, as in g(upper)',
    'select s.upper from (select id, id + 1 from a) s':
      's.upper may be a call of the function upper: name the columns of s, as in s(upper)',
    'select g.age from a, unnest(array[a.at]) g':
      'g.age may be a call of the function age: name the columns of g, as in g(age)',
    'select my_function(id) from a': 'my_function() is not known to depend on its arguments alone',
    'select pg_backend_pid()': 'pg_backend_pid() is not known to depend on its arguments alone',
    "select nextval('counter')": 'nextval() is not known to depend on its arguments alone',
    'select upper(t) from a': "upper() may be a function of the app's own",
    'select other.lower(t) from a': 'lower() is not known to depend on its arguments alone',
    'select * from a where t @@@ $1': "@@@ may be an operator of the app's own",
    'select * from a where id operator(other.=) 1': "= may be an operator of the app's own",
    "select 'a'::regclass": 'a cast to regclass reads the catalogue',
    'select id::regclass from a': 'a cast to regclass reads the catalogue',
    'select $1::strange': "a cast to strange may run code of the app's own",
    'select $1::unheard': 'there is no type unheard in the catalogue, which may be out of date',
    'select (row(1, 2)).f1': 'a field of a composite value may be a function',
    'select (a).id from a': 'a field of a composite value may be a function',
    'select where from': 'not understood: syntax error at or near "from"',
  }
  for (const [sql, reason] of Object.entries(refusals)) {
    test(`${sql} → ${reason}`, () => {
      const plan = planOf(sql)
      assert.equal(plan.cacheable ? 'cacheable' : plan.reason, reason)
    })
  }
})

describe('what needs a time to live', () => {
  const zoned = (name: string): string => `${name}() of a timestamptz depends on the setting TimeZone`
  const cast = (name: string): string => `a cast to ${name} may depend on the time or the setting TimeZone`
  volatile({
    'select now()': 'now() depends on the time',
    'select * from a where at > now()': 'now() depends on the time',
    'select current_date': 'CURRENT_DATE depends on the time',
    'select localtimestamp(2)': 'LOCALTIMESTAMP depends on the time',
    'select current_user, current_schema, session_user': null,
    'select age(at) from a': 'age() depends on the time',
    'select age(at, at) from a': null,
    'select random()': 'random() gives another answer each time',
    'select gen_random_uuid()': 'gen_random_uuid() gives another answer each time',
    "select current_setting('x.y')": 'current_setting() depends on the session',
    "select * from a where d > 'today'": "'today' may stand for the time of the query",
    "select * from a where d = any ('{Tomorrow}')": "'tomorrow' may stand for the time of the query",
    "select 'yesterday'::date": "'yesterday' may stand for the time of the query",
    "select date 'now'": "'now' may stand for the time of the query",
    "select 'today'::birthday": "'today' may stand for the time of the query",
    "select 'today'::text": null,
    "select * from a where t = 'today'": null,
    "select * from a where t like '%today%'": null,
    "select js ->> 'today' from a": null,
    "select '2020-01-01'::date": null,
    'select t::date from a': cast('date'),
    'select at::date from a': cast('date'),
    'select date(at) from a': cast('date'),
    'select date(ts), date(d) from a': null,
    "select date('today')": "'today' may stand for the time of the query",
    'select at::text from a': cast('text'),
    'select ts::date, d::timestamp, at::timestamptz, id::text from a': null,
    'select ts::timestamptz from a': cast('timestamptz'),
    'select $1::timestamptz': null,
    "select * from jsonb_to_recordset('[]') as r(x date)": cast('date'),
    "select date_trunc('day', at) from a": zoned('date_trunc'),
    "select date_trunc('day', ts) from a": null,
    "select date_trunc('day', d) from a": zoned('date_trunc'),
    "select date_trunc('day', $1) from a": zoned('date_trunc'),
    "select date_trunc('day', at, 'UTC') from a": null,
    'select extract(year from at), 1 from a': zoned('extract'),
    'select extract(year from d) from a': null,
    "select at at time zone 'UTC' from a": null,
    "select date_trunc('day', at at time zone 'UTC') from a": null,
    "select date_trunc('day', ts at time zone 'UTC') from a": zoned('date_trunc'),
    'select at at local from a': zoned('timezone'),
    "select to_char(id, '999') from a": null,
    "select to_char(at, 'YYYY') from a": zoned('to_char'),
    'select generate_series(1, $1)': null,
    "select generate_series($1::timestamptz, $2, '1 day')": zoned('generate_series'),
    'select to_tsvector(t) from a': 'to_tsvector() depends on the setting default_text_search_config',
    "select to_tsvector('english', t) from a": null,
    "select * from a where t @@ 'x'": '@@ on text depends on the setting default_text_search_config',
    "select * from a where search @@ to_tsquery('english', $1)": null,
    "select * from a where to_tsvector('simple', t) @@ plainto_tsquery('simple', $1)": null,
    'select similarity(t, $1), replace(t, $1, $2) from a': null,
    'select json_agg(row_to_json(a)), count(*) filter (where f), max(id) over () from a group by id': null,
  })
})
