/** Which columns of each table a read hangs on. */

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { planOf } from '../support/read-plans.ts'

import type { ReadPlan } from '../../src/engines/postgres/reads/plan.ts'

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
    test(`${sql} → ${expected}`, () => assert.equal(columnsRead(planOf(sql)), expected))
  }
})
