/** Which rows of each table a read hangs on: those of the keys that its conditions name, else all. */

import { describe } from 'node:test'

import { reads } from '../support/read-plans.ts'

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
