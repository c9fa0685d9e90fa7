/** What the catalogue says about tables: which may be watched, and what leaf partitions belong to. */

import type { QueryClient } from '../client.ts'
import { exactTypes } from './exact-types.ts'
import { publicationName } from './names.ts'

export type Tracking = 'full' | 'key' | 'off'

export interface TableFacts {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** As it is written in SQL. */
  readonly sql: string
  /** pg_class.relkind: `r` is a table, `p` a partitioned one. */
  readonly kind: string
  readonly persistence: string
  readonly rowSecurity: boolean
  readonly ours: boolean
  readonly owner: string
  readonly hasKey: boolean
  /** pg_class.relreplident: default, nothing, full, index. */
  readonly identity: 'd' | 'n' | 'f' | 'i'
  /**
   * Whether it has columns that are computed when they are read. From PostgreSQL 18 on such a table could not be updated
   * any more with a full replica identity in a publication.
   */
  readonly computes: boolean
  /** Whether it takes part in inheritance that is no partitioning. */
  readonly inherits: boolean
  readonly system: boolean
  /** The row of pg_publication_rel: another number each time the table is added. Null: not by itself. */
  readonly membership: number | null
  /** Tables whose replica identity is not full: itself, or leaves. As they are written in SQL. */
  readonly notFull: readonly string[]
}

export async function readTables(client: QueryClient, oids: readonly number[]): Promise<TableFacts[]> {
  if (oids.length === 0) return []
  const { rows } = await client.query(TABLES_SQL, [oids, publicationName])
  return rows as unknown as TableFacts[]
}

/** How a table can be tracked, at most as closely as is wanted. */
export function trackingFor(table: TableFacts, wanted: Tracking): Tracking {
  return wanted === 'full' && table.computes ? 'key' : wanted
}

/** Why a table cannot be watched, in words for people; null where it can. */
export function refusal(table: TableFacts, tracking: Tracking): string | null {
  if (tracking === 'off') return 'its tracking is off'
  if (table.system) return 'it is a system table'
  if (table.kind !== 'r' && table.kind !== 'p') return `it is ${kinds[table.kind] ?? 'no table'}`
  if (table.persistence !== 'p') return table.persistence === 'u' ? 'it is unlogged' : 'it is temporary'
  if (table.rowSecurity) return 'it has row-level security'
  if (table.inherits) return 'it takes part in table inheritance'
  if (!table.ours) return `it belongs to ${table.owner}, and only its owner may let it be watched`
  if (table.hasKey) return null
  // A new partition has the default identity, and without a key its UPDATE would fail until somebody changed that.
  if (table.kind === 'p') return 'it is partitioned and has no primary key'
  if (table.computes) return 'it has computed (virtual) columns and no primary key'
  const identified = table.identity === 'f' || table.identity === 'i'
  return tracking === 'key' && !identified ? 'it has no primary key, which `tracking: key` needs' : null
}

const kinds: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialised view',
  f: 'a foreign table',
  S: 'a sequence',
}

/** The tables above a leaf, itself not among them, and whether the publication has it or one of them. */
export interface Lineage {
  /** Of the types that are not PostgreSQL's own and that its columns have: those whose output tells all values apart. */
  readonly exactTypes: readonly number[]
  readonly ancestors: readonly number[]
  readonly published: boolean
}

export async function readLineage(client: QueryClient, oid: number): Promise<Lineage> {
  const { rows } = await client.query(LINEAGE_SQL, [oid, publicationName, [...exactTypes]])
  const row = rows[0] as unknown as Lineage | undefined
  return row ?? { ancestors: [], published: false, exactTypes: [] }
}

const TABLES_SQL = `
select c.oid::int8::float8 as oid, n.nspname as schema, c.relname as name,
  format('%I.%I', n.nspname, c.relname) as sql, c.relkind::text as kind, c.relpersistence::text as persistence,
  c.relrowsecurity as "rowSecurity", pg_has_role(c.relowner, 'USAGE') as ours, pg_get_userbyid(c.relowner) as owner,
  exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary and i.indimmediate) as "hasKey",
  c.relreplident::text as identity,
  exists (select from pg_attribute a where a.attrelid = c.oid and a.attgenerated = 'v' and not a.attisdropped) as computes,
  exists (select from pg_inherits h join pg_class child on child.oid = h.inhrelid
    where (h.inhrelid = c.oid or h.inhparent = c.oid) and not child.relispartition) as inherits,
  n.nspname in ('pg_catalog', 'information_schema', 'pg_toast') as system,
  (select m.oid::int8::float8 from pg_publication_rel m join pg_publication p on p.oid = m.prpubid
   where m.prrelid = c.oid and p.pubname = $2) as membership,
  array(select format('%I.%I', ln.nspname, l.relname)
    from pg_class l join pg_namespace ln on ln.oid = l.relnamespace
    where l.relkind = 'r' and l.relreplident <> 'f'
      and (l.oid = c.oid or c.relkind = 'p' and l.oid in (select relid from pg_partition_tree(c.oid)))) as "notFull"
from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any($1::oid[])`

const LINEAGE_SQL = `
select array(select a.relid::oid::int8::float8 from pg_partition_ancestors($1) a where a.relid <> $1::oid) as ancestors,
  exists (select from pg_publication_rel m join pg_publication p on p.oid = m.prpubid
    where p.pubname = $2 and (m.prrelid = $1::oid or m.prrelid in (select relid from pg_partition_ancestors($1)))) as published,
  array(select t.oid::int8::float8 from pg_attribute a join pg_type t on t.oid = a.atttypid left join pg_type b on b.oid = t.typbasetype
    where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
      and (t.typtype = 'e' or t.typtype = 'd' and (b.typtype = 'e' or b.oid = any($3::oid[])))) as "exactTypes"`
