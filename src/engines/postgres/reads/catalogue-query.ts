/** The statement that reads a database's catalogue, and the shape of its one row. */

/** oid, schema, name, kind, persistence, row security, definition of a view, columns */
export type RelationRow = readonly [
  number,
  string,
  string,
  string,
  string,
  boolean,
  string | null,
  readonly ColumnRow[],
]

/** name, type, generated, whether its collation is deterministic */
export type ColumnRow = readonly [string, number, boolean, boolean]

export interface CatalogueRow {
  readonly database: string
  readonly role: string
  readonly path: readonly string[]
  readonly relations: readonly RelationRow[]
  /** child, parent */
  readonly inheritance: readonly (readonly [number, number])[]
  /** oid, schema, name, kind, base, trusted */
  readonly types: readonly (readonly [number, string, string, string, number, boolean])[]
  /** schema, name, whether all of that name are trusted */
  readonly functions: readonly (readonly [string, string, boolean])[]
  /** Names of the server's own functions of one argument that are not immutable. */
  readonly unsteady: readonly string[]
  readonly operators: readonly (readonly [string, string, boolean])[]
  readonly own_equality: boolean
  readonly own_cast: string | null
}

/** Below this, oids are the server's own. */
const firstOwnOid = 16_384

/**
 * One statement, for one snapshot. It locks nothing. Trusted is what an extension brought and declares immutable.
 * Columns of the server's own catalogues are left out: nobody caches these.
 */
export const catalogueQuery: string = `
with trusted_functions as (
  select p.oid, p.pronamespace, p.proname,
    p.provolatile = 'i' and exists (
      select 1 from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objid = p.oid and d.deptype = 'e') as trusted
  from pg_catalog.pg_proc p where p.oid >= ${firstOwnOid}
), own_types as (
  select t.oid, n.nspname, t.typname, t.typtype, t.typbasetype, t.typtype in ('e', 'd') or (
    t.typtype in ('b', 'r', 'm') and exists (
      select 1 from pg_catalog.pg_depend d
      where d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.objid = t.oid and d.deptype = 'e')) as trusted
  from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  where t.oid >= ${firstOwnOid} and t.typcategory <> 'A' and t.typtype <> 'p'
), own_operators as (
  select n.nspname, o.oprname, o.oprleft, o.oprright,
    coalesce((select f.trusted from trusted_functions f where f.oid = o.oprcode), true) as trusted
  from pg_catalog.pg_operator o join pg_catalog.pg_namespace n on n.oid = o.oprnamespace
  where o.oid >= ${firstOwnOid}
), own_casts as (
  select c.castsource, c.casttarget from pg_catalog.pg_cast c
  left join trusted_functions f on f.oid = c.castfunc
  where c.oid >= ${firstOwnOid} and (c.castcontext = 'i' or c.casttarget in (114, 3802))
    and case c.castmethod
      when 'f' then not coalesce(f.trusted, false)
      when 'i' then c.casttarget in (1082, 1083, 1114, 1184, 1266)
      else false end
)
select
  pg_catalog.current_database()::text as database,
  current_user::text as role,
  array(select s::text from unnest(pg_catalog.current_schemas(true)) with ordinality as u(s, at)
        where s !~ '^pg_(toast_)?temp_' order by at) as path,
  (select coalesce(json_agg(json_build_array(c.oid::bigint, n.nspname, c.relname, c.relkind, c.relpersistence,
      c.relrowsecurity,
      case when c.relkind = 'v' and c.oid >= ${firstOwnOid} then pg_catalog.pg_get_viewdef(c.oid) end,
      (select coalesce(json_agg(json_build_array(a.attname, a.atttypid::bigint, a.attgenerated <> '',
          coalesce(l.collisdeterministic, true)) order by a.attnum), '[]')
       from pg_catalog.pg_attribute a left join pg_catalog.pg_collation l on l.oid = a.attcollation
       where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and c.oid >= ${firstOwnOid}))), '[]')
   from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and n.nspname !~ '^pg_(toast|temp)') as relations,
  (select coalesce(json_agg(json_build_array(i.inhrelid::bigint, i.inhparent::bigint)), '[]')
   from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
   where c.relkind in ('r', 'p', 'f')) as inheritance,
  (select coalesce(json_agg(json_build_array(oid::bigint, nspname, typname, typtype, typbasetype::bigint, trusted)), '[]')
   from own_types) as types,
  (select coalesce(json_agg(json_build_array(nspname, proname, trusted)), '[]') from (
    select n.nspname, f.proname, bool_and(f.trusted) as trusted
    from trusted_functions f join pg_catalog.pg_namespace n on n.oid = f.pronamespace group by 1, 2) f) as functions,
  array(select distinct p.proname::text from pg_catalog.pg_proc p
        where p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace and p.provolatile <> 'i' and p.oid < ${firstOwnOid}
          and p.pronargs >= 1 and p.pronargs - p.pronargdefaults <= 1) as unsteady,
  (select coalesce(json_agg(json_build_array(nspname, oprname, trusted)), '[]') from (
    select nspname, oprname, bool_and(trusted) as trusted from own_operators group by 1, 2) o) as operators,
  exists (select 1 from own_operators o where o.oprname = '=' and (
    o.oprleft in (16, 20, 21, 23, 25, 1043, 2950, 2283, 3500) or o.oprright in (16, 20, 21, 23, 25, 1043, 2950, 2283, 3500)
    or o.oprleft in (select t.oid from own_types t where t.typtype = 'e')
    or o.oprright in (select t.oid from own_types t where t.typtype = 'e'))) as own_equality,
  (select pg_catalog.format_type(castsource, null) || ' to ' || pg_catalog.format_type(casttarget, null)
   from own_casts limit 1) as own_cast`
