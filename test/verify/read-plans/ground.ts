/** Small tables full of nulls and of values that meet, views over them, and random changes of their rows. */

import type pg from 'pg'

import { values, type ValueType } from './queries.ts'

import type { Random } from '../front-fuzz/random.ts'

export const schema = `
create type mood as enum ('sad', 'ok', 'happy');
create table a (id int, k int, t text, f bool, n numeric);
create table b (id bigint, a_id int, k int, t varchar(10));
create table c (id int, b_id bigint, k smallint, m mood, u uuid, w char(3));
create table parts (id int, k int, t text) partition by hash (id);
create table parts_1 partition of parts for values with (modulus 2, remainder 0);
create table parts_2 partition of parts for values with (modulus 2, remainder 1);
create table parent (id int, k int);
create table child (extra text) inherits (parent);
create view a_with_b as
  select a.id, a.k, b.id as b_id, b.t from a left join b on b.a_id = a.id and b.t in ('x', 'y');
create view a_or_b as select id, k, t from a where f union all select id::int, k, t from b;
create view b_by_k as select k, count(*)::int as how_many from b group by k;

-- Runs the changes one by one, and answers those that found a row, each with whether the answer of the query differs
-- from the one before. One round trip for all of them. The query is prepared, so that its parameters get their types as
-- a driver's do.
create function probe(query text, changes text[])
returns table (change integer, before jsonb, after jsonb, differs boolean) language plpgsql as $$
declare
  answer text[]; next text[]; row record;
begin
  answer := answer_of(query);
  for at in 1 .. cardinality(changes) loop
    change := at;
    before := null;
    after := null;
    execute changes[at] into before, after;
    continue when before is null and after is null;
    next := answer_of(query);
    differs := next is distinct from answer;
    answer := next;
    return next;
  end loop;
end $$;

-- The rows in an order that does not matter.
create function answer_of(query text) returns text[] language plpgsql as $$
declare
  rows text[] := '{}'; row record;
begin
  for row in execute query loop
    rows := rows || row::text;
  end loop;
  return array(select one from unnest(rows) as one order by one);
end $$;`

interface Table {
  readonly name: string
  readonly columns: Readonly<Record<string, ValueType>>
}

export const tables: readonly Table[] = [
  { name: 'a', columns: { id: 'int', k: 'int', t: 'text', f: 'bool', n: 'numeric' } },
  { name: 'b', columns: { id: 'int', a_id: 'int', k: 'int', t: 'text' } },
  { name: 'c', columns: { id: 'int', b_id: 'int', k: 'int', m: 'mood', u: 'uuid', w: 'bpchar' } },
  { name: 'parts', columns: { id: 'int', k: 'int', t: 'text' } },
  { name: 'parent', columns: { id: 'int', k: 'int' } },
  { name: 'child', columns: { id: 'int', k: 'int' } },
]

/** A row as the server prints it; null in a column: SQL's null. */
export type PrintedRow = Readonly<Record<string, string | null>>

export interface Change {
  readonly table: string
  readonly sql: string
}

const typical = 5
const most = 10

/** New rows in all tables. */
export async function fill(client: pg.Client, random: Random): Promise<void> {
  const rows = tables.flatMap((table) => Array.from({ length: typical }, () => insertion(table, random)))
  const names = tables.map(({ name }) => name)
  await client.query([`truncate ${names.join(', ')}`, ...rows].join(';\n'))
}

function insertion({ name, columns }: Table, random: Random): string {
  const row = Object.values(columns).map((type) => value(type, random))
  return `insert into ${name} (${Object.keys(columns).join(', ')}) values (${row.join(', ')})`
}

function value(type: ValueType, random: Random): string {
  return random.chance(0.15) ? 'null' : `'${random.pick(values[type])}'`
}

/** Where the query reads a table by another name. */
const mentionedBy: Readonly<Record<string, RegExp>> = {
  a: /\ba(_|\b)/,
  b: /\b(b|a_with_b|a_or_b|b_by_k)\b/,
  child: /\bparent\b/,
}

/** Inserts, updates or deletes a row, mostly of a table that the query reads, if there is one at the place that chance chose: so tables stay small. */
export function generateChange(random: Random, query: string): Change {
  const read = tables.filter(({ name }) => (mentionedBy[name] ?? new RegExp(`\\b${name}\\b`)).test(query))
  const table = random.pick(read.length > 0 && random.chance(0.9) ? read : tables)
  const { name, columns } = table
  const [column, type] = random.pick(Object.entries(columns))
  const from = name === 'parent' ? 'only parent' : name
  const picked = `(select tableoid as part, ctid as row from ${from} order by 1, 2 offset ${random.below(most)} limit 1)`
  const that = `${name}.tableoid = picked.part and ${name}.ctid = picked.row`
  const kind = random.pick(['insert', 'update', 'update', 'delete'] as const)
  const sql = {
    insert: () => insertion(table, random),
    update: () => `update ${from} set ${column} = ${value(type, random)} from ${picked} picked where ${that}`,
    delete: () => `delete from ${from} using ${picked} picked where ${that}`,
  }[kind]()
  return { table: name, sql: `${sql} returning to_jsonb(old), to_jsonb(new)` }
}

/** From JSON to what the server prints. */
export function printed(row: Readonly<Record<string, string | number | boolean | null>> | null): PrintedRow | null {
  if (row === null) return null
  const print = (value: string | number | boolean | null): string | null => {
    if (typeof value === 'boolean') return value ? 't' : 'f'
    return value === null ? null : String(value)
  }
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, print(value)]))
}
