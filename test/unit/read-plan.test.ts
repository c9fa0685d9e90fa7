import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'

import { loadReadAnalyser, type ReadAnalyser, type ReadPlan } from '../../src/engines/postgres/reads/plan.ts'
import { plainCatalogue } from '../support/read-catalogue.ts'

import type { Catalogue } from '../../src/engines/postgres/reads/catalogue.ts'

let analyser: ReadAnalyser
let catalogue: Catalogue
before(async () => {
  analyser = await loadReadAnalyser()
  catalogue = await plainCatalogue()
})

/** `a(id=$1&t=x,y) b`: a by key, b as a whole, in the order of their names. */
function written(plan: ReadPlan): string {
  if (!plan.cacheable) return `refused: ${plan.reason}`
  const reads = plan.reads.map(({ name, keys }) => {
    const conditions = keys.map(({ column, values }) => {
      const texts = values.map((one) => {
        if (one.kind === 'constant') return String(one.text)
        return one.kind === 'array' ? `$${one.number}[]` : `$${one.number}`
      })
      return `${column}=${texts.join(',')}`
    })
    return `${name.replace('public.', '')}${conditions.length === 0 ? '' : `(${conditions.join('&')})`}`
  })
  return reads.toSorted().join(' ')
}

function reads(cases: Readonly<Record<string, string>>): void {
  for (const [sql, expected] of Object.entries(cases)) {
    test(`${sql} → ${expected}`, () => assert.equal(written(analyser.plan(sql, catalogue)), expected))
  }
}

function volatile(cases: Readonly<Record<string, string | null>>): void {
  for (const [sql, expected] of Object.entries(cases)) {
    test(`${sql} → ${expected}`, () => {
      const plan = analyser.plan(sql, catalogue)
      assert.equal(plan.cacheable ? plan.volatile : `refused: ${plan.reason}`, expected)
    })
  }
}

describe('a column equal to a constant or parameter narrows its table', () => {
  reads({
    'select * from a where id = $1': 'a(id=$1)',
    'select * from a where $1 = id': 'a(id=$1)',
    'select * from a where id = 5': 'a(id=5)',
    'select * from a where id = -5': 'a(id=-5)',
    'select * from a where id = 0': 'a(id=0)',
    'select * from a where big = 9999999999': 'a(big=9999999999)',
    "select * from a where id = ' +05 '": 'a(id=5)',
    'select * from a where id = $1::int': 'a(id=$1)',
    'select * from a where id = cast($1 as bigint)': 'a(id=$1)',
    'select * from a where small = $1 and big = $2': 'a(big=$2&small=$1)',
    "select * from a where u = '{A0EEBC99-9C0B4EF8-BB6D6BB9-BD380A11}'": 'a(u=a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11)',
    'select * from a where u = $1::uuid': 'a(u=$1)',
    "select * from a where m = 'ok'": 'a(m=ok)',
    "select * from a where m = 'ok'::mood": 'a(m=ok)',
    'select * from a where m = $1::public.mood': 'a(m=$1)',
    "select * from a where t = 'x' or t = 'y'": 'a(t=x,y)',
    "select * from a where t in ('x', $1)": 'a(t=x,$1)',
    "select * from a where v = 'x'": 'a(v=x)',
    "select * from a where v::text = 'x'": 'a(v=x)',
    'select * from a where f': 'a(f=t)',
    'select * from a where not f': 'a(f=f)',
    'select * from a where f is true': 'a(f=t)',
    'select * from a where f is false': 'a(f=f)',
    'select * from a where coalesce(id = any ($1), false)': 'a(id=$1[])',
    'select * from a where f = true': 'a(f=t)',
    "select * from a where f = 'yes'": 'a(f=t)',
    'select * from a where id = any ($1)': 'a(id=$1[])',
    'select * from a where id = any ($1::int[])': 'a(id=$1[])',
    "select * from a where id = any ('{1, 2,NULL}')": 'a(id=1,2,null)',
    'select * from a where id = any (array[1, $1])': 'a(id=1,$1)',
    'select * from a where id = any (array[$1, $2]::int[])': 'a(id=$1,$2)',
    'select * from a where (id, t) = (1, $1)': 'a(id=1&t=$1)',
    "select * from a where (id, t) in ((1, 'x'), (2, 'y'))": 'a(id=1,2&t=x,y)',
    'select * from a where id = 1 and (id = 2 or t = $1) and n > 3': 'a(id=1)',
    'select * from a where (id = 1 and f) or (id = 2 and not f)': 'a(f=t,f&id=1,2)',
    'select * from a where id operator(pg_catalog.=) 1': 'a(id=1)',
    'select * from public.a where public.a.id = 1': 'a(id=1)',
    'select * from main.public.a where id = 1': 'a(id=1)',
    'select * from other.elsewhere where id = 1': 'other.elsewhere(id=1)',
    'select * from a where id in ($1, $2) and id = 3': 'a(id=3)',
    'select * from a where id = null': 'a(id=null)',
    'select x.n from a as x(n, k) where x.k = 3': 'a(small=3)',
    'table a': 'a',
    'select 1': '',
    'values (1), (2)': '',
  })
})

describe('anything else does not', () => {
  reads({
    'select * from a where id = 5.0': 'a',
    'select * from a where id = $1::numeric': 'a',
    'select * from a where id = $1::text': 'a',
    'select * from a where id = 5::numeric': 'a',
    'select * from a where id::numeric = 5': 'a',
    'select * from a where v = $1::varchar(3)': 'a',
    "select * from a where c = 'x'": 'a',
    "select * from a where nd = 'x'": 'a',
    'select * from a where t = \'x\' collate "C"': 'a',
    'select * from a where t collate "C" = \'x\'': 'a',
    'select * from a where n = 5': 'a',
    'select * from a where g = 5': 'a',
    'select * from a where dom = 5': 'a',
    'select * from a where id is not distinct from $1': 'a',
    'select * from a where id <> 5': 'a',
    'select * from a where not (id = 5)': 'a',
    'select * from a where id not in (1, 2)': 'a',
    'select * from a where id <> all ($1)': 'a',
    'select * from a where id = all ($1)': 'a',
    'select * from a where id > 5': 'a',
    'select * from a where id between 1 and 1': 'a',
    'select * from a where id = 5 or small = 5': 'a',
    'select * from a where id = 5 or true': 'a',
    'select * from a where coalesce(id = any ($1), true)': 'a',
    'select * from a where coalesce(id = 5, f)': 'a',
    'select * from a where coalesce(id = 5, null, false)': 'a',
    'select * from a where not coalesce(id = 5, false)': 'a',
    'select * from a where id = 5 is not true': 'a',
    'select * from a where (id = 5) is unknown': 'a',
    'select * from a where id = small': 'a',
    'select * from a where id = small + 1': 'a',
    'select * from a where id + 0 = 5': 'a',
    'select * from a where id in (1, small)': 'a',
    'select * from a where id in (1, 2.5)': 'a',
    'select * from a where lower(t) = $1': 'a',
    "select * from a where t like 'x'": 'a',
    'select * from a where case when f then id = 5 end': 'a',
    'select * from a where coalesce(f, id = 5)': 'a',
    'select count(*) from a having count(*) = 5': 'a',
    'select id from a group by id having id = 5': 'a',
    // What the server makes of the parameter is decided by its other use.
    'select * from a where id = $1 or n > $1': 'a',
    'select $1, id from a where id = $1': 'a',
    'select * from a where id = $1 and c = $1': 'a',
    'select * from a where id = $1 and t = $2 and n = $1': 'a(t=$2)',
    'select * from a where id in (5.0, $1) and small = $1': 'a',
    'select * from a where id = any (array[5.0, $1])': 'a',
    "select * from a where (id, t) in ((5.0, $1), (6, 'x'))": 'a(t=$1,x)',
    'select * from a where id = $1 and small = $1': 'a(id=$1&small=$1)',
    'select * from a where id = $1 and id = any ($1)': 'a',
  })
})

describe('through joins', () => {
  reads({
    'select * from a join b on b.a_id = a.id where a.id = $1': 'a(id=$1) b(a_id=$1)',
    'select * from a, b where b.a_id = a.id and b.a_id in (1, 2)': 'a(id=1,2) b(a_id=1,2)',
    'select * from a join b using (id) where id = 1': 'a(id=1) b(id=1)',
    'select * from a join b using (id) where b.id = 1': 'a(id=1) b(id=1)',
    'select * from a natural join b where a.id = 1': 'a(id=1) b(id=1)',
    'select * from a join b using (id) as j where j.id = 1': 'a(id=1) b(id=1)',
    'select * from (a join b using (id)) as j where j.id = 1': 'a(id=1) b(id=1)',
    'select * from a x join a y on x.id = y.small where y.id = 3': 'a',
    'select * from a x join a y on x.id = y.small and y.small = 4': 'a(id=4) a(small=4)',
    'select * from a join b on a.t = b.u::text where b.id = 1': 'a b(id=1)',
    'select * from a join b on a.n = b.n where a.n = 1': 'a b',
    'select * from a left join b on b.a_id = a.id where a.id = 1': 'a(id=1) b(a_id=1)',
    'select * from a left join b on b.a_id = a.id and a.id = 1': 'a b(a_id=1)',
    'select * from a left join b on b.a_id = a.id and b.k = 1': 'a b(k=1)',
    'select * from a left join b on b.a_id = a.id and a.f': 'a b',
    'select * from a left join b on b.a_id = a.id where b.k = 1': 'a b(k=1)',
    'select * from a left join b on b.a_id = a.id where b.a_id = 1': 'a(id=1) b(a_id=1)',
    'select * from a left join b on b.a_id = a.id where b.a_id = 1 or b.a_id is null': 'a b',
    'select * from a left join b on true where a.id = b.a_id and b.k = 1': 'a b(k=1)',
    'select * from b right join a on b.a_id = a.id where a.id = 1': 'a(id=1) b(a_id=1)',
    'select * from b right join a on b.a_id = a.id and b.k = 2 and a.f': 'a b(k=2)',
    'select * from a full join b on a.id = b.a_id and a.id = 1': 'a b',
    'select * from a full join b on a.id = b.a_id where a.id = 1': 'a(id=1) b(a_id=1)',
    'select * from a full join b on a.id = b.a_id where b.k = 1': 'a b(k=1)',
    'select * from a full join b using (id) where id = 1': 'a b',
    'select * from a left join b using (id) where id = 1': 'a(id=1) b(id=1)',
    'select * from a right join b using (id) where id = 1': 'a(id=1) b(id=1)',
    'select * from a left join (b join parts p on p.id = b.k) on b.a_id = a.id where a.id = 1':
      'a(id=1) b(a_id=1) parts',
    'select * from a left join (b left join parts p on p.id = b.k and b.k = 7) on b.a_id = a.id': 'a b parts(id=7)',
    'select * from a left join b on b.a_id = a.id left join parts p on p.id = b.k where a.id = 1':
      'a(id=1) b(a_id=1) parts',
    'select * from a left join b on b.a_id = a.id left join parts p on p.id = b.a_id where a.id = 1':
      'a(id=1) b(a_id=1) parts',
    'select * from a left join b on b.a_id = a.id join parts p on p.id = b.a_id where a.id = 1':
      'a(id=1) b(a_id=1) parts',
    'select * from a cross join b where a.id = 1': 'a(id=1) b',
  })
})

describe('through sub-selects, common table expressions, views and set operations', () => {
  reads({
    'select * from (select * from a) s where s.id = 1': 'a(id=1)',
    'select * from (select id as x, t from a) s(y) where y = 1': 'a(id=1)',
    'select * from (select distinct id from a) s where id = 1': 'a(id=1)',
    'select * from (select id from a limit 3) s where id = 1': 'a',
    'select * from (select id from a offset 3) s where id = 1': 'a',
    'select * from (select distinct on (t) id from a) s where id = 1': 'a',
    'select * from (select id, row_number() over (order by t) from a) s where id = 1': 'a',
    'select * from (select id, count(*) from a group by id) s where id = 1': 'a(id=1)',
    'select * from (select id as x, count(*) from a group by 1) s where x = 1': 'a(id=1)',
    'select * from (select id as x, count(*) from a group by x) s where x = 1': 'a(id=1)',
    'select * from (select id, small, count(*) from a group by id, small) s where small = 1': 'a(small=1)',
    'select * from (select max(id) as id from a) s where id = 1': 'a',
    'select * from (select id, count(*) from a group by rollup (id)) s where id = 1': 'a',
    'select * from (select id + 0 as id from a) s where id = 1': 'a',
    'select * from b join (select id from a where id = 3) s on s.id = b.a_id': 'a(id=3) b(a_id=3)',
    'select * from b left join (select id from a where id = 3) s on s.id = b.a_id': 'a(id=3) b',
    'select * from b join (select id from a where id = 3 limit 1) s on s.id = b.a_id': 'a(id=3) b(a_id=3)',
    'select * from b left join (select 3 as x, id from a) s on s.id = b.a_id where b.a_id = 4': 'a(id=4) b(a_id=4)',
    'select * from a where exists (select 1 from b where b.a_id = a.id) and a.id = 1': 'a(id=1) b(a_id=1)',
    'select * from a where id = 1 and not exists (select 1 from b where b.a_id = a.id)': 'a(id=1) b(a_id=1)',
    'select * from a where id = 1 and id in (select a_id from b)': 'a(id=1) b(a_id=1)',
    'select * from a where id = 1 and id = any (select a_id from b where k = 2)': 'a(id=1) b(a_id=1&k=2)',
    'select * from a where id = 1 and id not in (select a_id from b)': 'a(id=1) b',
    'select * from a where id = 1 and (id in (select a_id from b) or f)': 'a(id=1) b',
    'select * from a where id = 1 and id in (select a_id from b limit 2)': 'a(id=1) b',
    'select * from a where id in (select a_id from b where k = 2)': 'a b(k=2)',
    'select *, (select count(*) from b where b.a_id = a.id) from a where id = 1': 'a(id=1) b(a_id=1)',
    'select *, array(select t from b where b.a_id = a.id order by t) from a where id = 1': 'a(id=1) b(a_id=1)',
    'select id, (select t from b where b.k = 1) from a where id = 1': 'a(id=1) b(k=1)',
    'select * from a, lateral (select * from b where b.a_id = a.id limit 1) s where a.id = 1': 'a(id=1) b(a_id=1)',
    'select * from a left join lateral (select * from b where b.a_id = a.id limit 1) s on true where a.id = 1':
      'a(id=1) b(a_id=1)',
    'select * from a, lateral (select * from b where b.a_id = a.id limit 1) s where a.id = 1 and s.k = 1':
      'a(id=1) b(a_id=1)',
    // A row outside an aggregate without GROUP BY does not make the select list go away.
    'select (select (select count(*) from parts p where p.id = x.id) from b where x.id = 3 having true) from a x':
      'a b parts',
    'select *, (select max((select max(p.k) from parts p where p.id = x.id)) from b where x.id = 3) from a x':
      'a b parts',
    'select (select count(*) + (select max(p.k) from parts p where p.id = x.id) from b where x.id = 3) from a x':
      'a b parts',
    'select * from b join (select x.id, count(*) from a x where x.id = 3 group by x.id) s on s.id = b.a_id':
      'a(id=3) b(a_id=3)',
    'with c as (select * from a) select * from c where id = 1': 'a(id=1)',
    'with c as materialized (select * from a) select * from c where id = 1': 'a(id=1)',
    'with c(x, y) as (select id, small from a) select * from c where y = 1': 'a(small=1)',
    'with c as (select * from a) select * from c x, c y where x.id = 1 and y.id = 2': 'a(id=1) a(id=2)',
    'with c as (select * from a where id = 1) select 2': 'a(id=1)',
    'with a as (select * from b) select * from a where a_id = 1': 'b(a_id=1)',
    'with a as (select * from a where id = 2) select * from a where id = 1': 'a(id=1)',
    'with a as (select * from b) select * from public.a where id = 1': 'a(id=1) b',
    'with recursive c as (select id, small from a where id = 1 union all select a.id, a.small from a join c on a.small = c.id) select * from c where id = 9':
      'a',
    'with recursive c as (select id, small from a where id = 1 union all select a.id, a.small from a join c on a.small = c.id where a.big = 2) select * from c where id = 9':
      'a(big=2) a(id=1)',
    'with recursive c(n) as (select 1 union all select n + 1 from c where n < 5) select * from c join a on a.id = c.n':
      'a',
    'select * from some_a where id = 1': 'a(id=1&m=ok&v=x)',
    "select * from some_a where name = 'y'": 'a(m=ok&v=y)',
    'select s.name from some_a as s(x) where s.x = 1': 'a(id=1&m=ok&v=x)',
    "select * from pair where t = 'x'": 'a(t=x) b(t=x)',
    'select * from pair where id = 1': 'a(big=1) b(id=1)',
    'select id from a where id = 1 union select k from b where k = 2': 'a(id=1) b(k=2)',
    'select * from (select id from a union select k from b) s where id = 1': 'a(id=1) b(k=1)',
    'select * from (select id from a intersect select k from b) s where id = 1': 'a(id=1) b(k=1)',
    'select * from (select id from a except all select k from b) s where id = 1': 'a(id=1) b(k=1)',
    'select * from (select id from a union select n from b) s where id = 1': 'a b',
    'select * from (select id from a union select k from b limit 2) s where id = 1': 'a b',
    'select * from parent where id = 1': 'child(id=1) parent(id=1)',
    'select * from only parent where id = 1': 'parent(id=1)',
    'select * from parent where k = 1': 'child parent',
    'select * from parts where id = 1': 'parts(id=1)',
    'select * from generate_series(1, 3) as g(id) join a on a.id = g.id': 'a',
    'select * from unnest($1::int[]) as g join a on a.id = g': 'a',
    'select * from a, jsonb_to_recordset(a.js) as r(x int, y text) where a.id = 1 and r.x = 2': 'a(id=1)',
  })
})

describe('scopes', () => {
  reads({
    // Behind columns that are not known, nobody knows which column is which.
    'select * from (select * from generate_series(1, 3) g, a) s(x, y) where s.y = 1': 'a',
    'select * from (select a.* from generate_series(1, 3) g, a) s(x) where s.x = 1': 'a(id=1)',
    'select * from (generate_series(1, 3) g cross join a) as j(x, y) where j.y = 1': 'a',
    'select * from (select (a).*, a.id from a) s(x) where s.x = 1': 'a',
    'select * from b where id in (select (a).* from a) and b.id = 1': 'a b(id=1)',
    'with c(x, y) as (select * from generate_series(1, 3) g, a) select * from c where y = 1': 'a',
    'with s as (select 1 + 1, id from a) select * from s where id = 1': 'a(id=1)',
    // The name belongs to the inner query if it has such a column, whatever the author thought.
    'select * from a where id = 1 and exists (select 1 from b where a_id = id)': 'a(id=1) b',
    'select * from a where id = 1 and exists (select 1 from parts where k = small)': 'a(id=1) parts',
    'select * from a where small = 1 and exists (select 1 from parts where k = small)': 'a(small=1) parts(k=1)',
    'select * from a where big = 1 and exists (select 1 from json_each($1) where big = id)': 'a(big=1)',
    'select * from b where k = 1 and exists (select 1 from json_each($1) x, a where k = a.id)': 'a b(k=1)',
    'select * from b a where a.k = 1': 'b(k=1)',
    'select a.id from b as a, a as b where a.k = 1 and b.id = 2': 'a(id=2) b(k=1)',
    'select id as t from a where t = $1': 'a(t=$1)',
    'select small as id from a order by id': 'a',
    'select a from a where id = 1': 'a(id=1)',
    'select count(a) from a where a.id = 1': 'a(id=1)',
  })
})

describe('a name that could be a function of its source, and is a column', () => {
  reads({
    'select g.upper from unnest(array[1]) g(upper)': '',
    'select g.g from generate_series(1, 3) g': '',
    'with recursive t(id, age) as (select id, k from b union all select b.id, t.age from t join b on b.id = t.age) select * from t':
      'b',
  })
})

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
      const plan = analyser.plan(sql, catalogue)
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

/** `a(c,id) b(*)`: the columns that are read of each table, all of b. */
function columnsRead(plan: ReadPlan): string {
  if (!plan.cacheable) return `refused: ${plan.reason}`
  const tables = new Map<string, string[]>()
  for (const { name, reads: read } of plan.reads) {
    const known = tables.get(name) ?? []
    tables.set(name, [...known, ...(read ?? ['*'])])
  }
  return [...tables]
    .map(([name, read]) => `${name.replace('public.', '')}(${[...new Set(read)].toSorted().join(',')})`)
    .toSorted()
    .join(' ')
}

describe('the columns that a statement reads', () => {
  const cases: Readonly<Record<string, string>> = {
    'select id from a': 'a(id)',
    'select id from a where t = $1': 'a(id,t)',
    'select id from a order by t': 'a(id,t)',
    'select id as t from a order by t': 'a(id)',
    'select id from a order by t || v': 'a(id,t,v)',
    'select distinct on (t) id from a order by t': 'a(id,t)',
    'select id from a where id = 5 limit (select count(*) from b where k = 1)': 'a(id) b(k)',
    'select count(*) from a': 'a()',
    'select 1 from a': 'a()',
    'select count(*) filter (where f) from a': 'a(f)',
    'select count(t) from a group by v': 'a(t,v)',
    'select max(v) as t from a group by t': 'a(t,v)',
    'select max(t) from a group by v having min(u::text) > $1': 'a(t,u,v)',
    'select max(t) from a group by grouping sets ((v), (u))': 'a(t,u,v)',
    'select string_agg(t, $1 order by v) from a': 'a(t,v)',
    'select percentile_disc(0.5) within group (order by n) from a': 'a(n)',
    'select row_number() over (partition by t order by v) from a': 'a(t,v)',
    'select row_number() over w from a window w as (partition by t)': 'a(t)',
    'select * from a': 'a(*)',
    'select a.* from a': 'a(*)',
    'table b': 'b(*)',
    'select a.id, b.* from a join b on b.a_id = a.id': 'a(id) b(*)',
    'select 1 from a where exists (select * from b)': 'a() b(*)',
    'select a from a': 'a(*)',
    'select x::text from a x': 'a(*)',
    'select count(x) from a x': 'a(*)',
    'select to_json(x) from a x': 'a(*)',
    'select row(x.*) from a x': 'a(*)',
    'select row(b.*) from a, b where a.id = 1': 'a(id) b(*)',
    'select a.t from a join b using (id)': 'a(id,t) b(id)',
    'select a.c from a natural join b': 'a(c,id,n,t,u) b(id,n,t,u)',
    'select j.t from (a join b using (id)) as j (one)': 'a(id,t) b(id,t)',
    'select j.k from (a join b using (id)) as j (one)': 'a(id) b(id,k)',
    'select j from (a join b on true) as j': 'a(*) b(*)',
    'select j.id from (b join generate_series(1, 3) as s on true) as j': 'b(*)',
    'select 1 from b where exists (select 1 from generate_series(1, 3) as s where s = k)': 'b(k)',
    'select 1 from b where exists (select 1 from generate_series(1, 3) as s where b is null)': 'b(*)',
    'select id from (select id, t from a) x': 'a(id,t)',
    'select id from (select * from a) x': 'a(*)',
    'with x as (select id, v from a) select id from x': 'a(id,v)',
    'with x as (select id, v from a) select 1': 'a(id,v)',
    'with recursive x as (select id, k from b union select b.id, b.a_id from b join x on x.k = b.id) select 1 from x':
      'b(a_id,id,k)',
    'select x.n from a, lateral (select b.id as n from b where b.k = a.small) x': 'a(small) b(id,k)',
    'select (select max(b.t) from b where b.a_id = a.id) from a': 'a(id) b(a_id,t)',
    'select id from b where t in (select t from a where v = $1)': 'a(t,v) b(id,t)',
    'select id from a union select id from b': 'a(id) b(id)',
    'select id from b union select a_id from b': 'b(a_id,id)',
    'select id from b where k = 1 union select a_id from b': 'b(a_id,id,k)',
    'select id from b where k = 1 union select a_id from b where k = 2': 'b(a_id,id,k)',
    'select name from some_a': 'a(id,m,v)',
    'select id from pair': 'a(big,t) b(id,t)',
    'select id from parent': 'child(id) parent(id)',
    'select k from parent': 'child(*) parent(*)',
    'select id from parts where k = 1': 'parts(*)',
    'select g from a': 'a(*)',
    'select id from a where g = 1': 'a(*)',
    'select dom from a': 'a(dom)',
  }
  for (const [sql, expected] of Object.entries(cases)) {
    test(`${sql} → ${expected}`, () => assert.equal(columnsRead(analyser.plan(sql, catalogue)), expected))
  }
})
