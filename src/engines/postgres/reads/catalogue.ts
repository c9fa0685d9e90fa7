/**
 * What the analysis of reads must know of a database: its tables and their columns, the views' definitions, the search
 * path, and what the app (or an extension) has added to PostgreSQL's own functions, operators, types and casts.
 *
 * A snapshot: it says how things were when it was loaded. Whoever holds one loads it anew when the definition of
 * anything has changed, and until then a plan made from it is no better than it. It is loaded by one statement, so all
 * of it is of one moment (pg_get_viewdef alone looks at the newest state: a view changed at that very moment is one
 * whose change is still to be announced).
 */

import { catalogueQuery, type CatalogueRow, type RelationRow } from './catalogue-query.ts'
import { type Family, familyOf } from './types.ts'
import { exactTypes } from '../changes/exact-types.ts'

import type { QueryClient } from '../client.ts'

export interface CatalogueColumn {
  readonly name: string
  /** Oid. */
  readonly type: number
  /** Null: rows are not told apart by values of this type. */
  readonly family: Family | null
  /** Whether its values stand in the change stream, for this table and for all that belong to it. */
  readonly streamed: boolean
  /** Whether the stream tells that a change of a row has left its value as it was. */
  readonly compared: boolean
}

export interface CatalogueRelation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** Why its rows cannot be followed, or null. */
  readonly refusal: string | null
  readonly columns: readonly CatalogueColumn[]
  /** Of a view: its query. */
  readonly definition: string | null
  readonly partitioned: boolean
  /** Oids of the tables that inherit from it, at any depth; of a partitioned table, its parts. */
  readonly heirs: readonly number[]
}

export interface CatalogueType {
  readonly oid: number
  readonly isEnum: boolean
  /** Of a domain: the oid of what it is made of, else null. */
  readonly base: number | null
  /** Whether casts to it run only code of PostgreSQL's or of an extension's. */
  readonly trusted: boolean
}

/** Whose code may run when a name is called: the app's if anything of this name that could be meant is. */
export type Owner = 'postgres' | 'extension' | 'app'

export interface Catalogue {
  readonly database: string
  readonly role: string
  /** Effective, as a fresh connection has it: pg_catalog stands in it. */
  readonly searchPath: readonly string[]
  /** There is an `=` of the app's own on types that rows are told apart by: then no table is narrowed. */
  readonly ownEquality: boolean
  /** An implicit cast that may run code of the app's own, such as `text to integer`; or null. */
  readonly ownCast: string | null
  /** `schema` null: by the search path. */
  relation(schema: string | null, name: string): CatalogueRelation | null
  relationByOid(oid: number): CatalogueRelation | null
  /** Types that are not PostgreSQL's own. */
  type(schema: string | null, name: string): CatalogueType | null
  functionOwner(schema: string | null, name: string): Owner
  /** Whether a function of PostgreSQL's own that takes one argument has this name and does not depend on that alone. */
  isUnsteady(name: string): boolean
  operatorOwner(schema: string | null, name: string): Owner
}

/** One statement. The deadline is the caller's. The path is a fresh connection's if this one has not changed its own. */
export async function loadCatalogue(client: QueryClient): Promise<Catalogue> {
  const { rows } = await client.query(catalogueQuery)
  return catalogueOf(rows[0] as unknown as CatalogueRow)
}

function catalogueOf(row: CatalogueRow): Catalogue {
  const relations = relationsOf(row)
  const byOid = new Map(relations.map((relation) => [relation.oid, relation]))
  const byName = named(relations, ({ schema, name }) => [schema, name])
  const types = named(row.types, ([, schema, name]) => [schema, name])
  const functions = named(row.functions, ([schema, name]) => [schema, name])
  const unsteady = new Set(row.unsteady)
  const operators = named(row.operators, ([schema, name]) => [schema, name])
  // Rows are tuples, so they are not to be flattened.
  const all = <T>(known: ReadonlyMap<string, T>, schema: string | null, name: string): readonly T[] =>
    (schema === null ? row.path : [schema])
      .map((one) => known.get(nameKey(one, name)))
      .filter((found) => found !== undefined)
  return {
    database: row.database,
    role: row.role,
    searchPath: row.path,
    ownEquality: row.own_equality,
    ownCast: row.own_cast,
    relation: (schema, name) => all(byName, schema, name)[0] ?? null,
    relationByOid: (oid) => byOid.get(oid) ?? null,
    type: (schema, name) => typeOf(all(types, schema, name)[0]),
    functionOwner: (schema, name) => ownerOf(all(functions, schema, name)),
    isUnsteady: (name) => unsteady.has(name),
    operatorOwner: (schema, name) => ownerOf(all(operators, schema, name)),
  }
}

function nameKey(schema: string, name: string): string {
  return `${schema}\u0000${name}`
}

function named<T>(rows: readonly T[], nameOf: (row: T) => readonly [string, string]): ReadonlyMap<string, T> {
  return new Map(rows.map((row) => [nameKey(...nameOf(row)), row]))
}

function ownerOf(found: readonly (readonly [string, string, boolean])[]): Owner {
  if (found.length === 0) return 'postgres'
  return found.every(([, , trusted]) => trusted) ? 'extension' : 'app'
}

function typeOf(row: CatalogueRow['types'][number] | undefined): CatalogueType | null {
  if (row === undefined) return null
  const [oid, , , kind, base, trusted] = row
  return { oid, isEnum: kind === 'e', base: kind === 'd' ? base : null, trusted }
}

function relationsOf(row: CatalogueRow): readonly CatalogueRelation[] {
  const byOid = new Map(row.relations.map((relation) => [relation[0], relation]))
  const children = Map.groupBy(row.inheritance, ([, parent]) => parent)
  const enums = new Set(row.types.filter((type) => type[3] === 'e').map((type) => type[0]))
  const exact = exactTypesOf(row.types, enums)
  const below = (oid: number): readonly number[] =>
    (children.get(oid) ?? []).flatMap(([child]) => [child, ...below(child)])
  const heirsOf = (oid: number): readonly RelationRow[] =>
    [...new Set(below(oid))].map((heir) => byOid.get(heir)).filter((heir) => heir !== undefined)
  return row.relations.map((relation) => relationOf(relation, heirsOf(relation[0]), enums, exact))
}

/** Enums, and domains over them or over types of PostgreSQL's own that print exactly. */
function exactTypesOf(types: CatalogueRow['types'], enums: ReadonlySet<number>): ReadonlySet<number> {
  const isExact = (oid: number): boolean => exactTypes.has(oid) || enums.has(oid)
  const domains = types.filter(([, , , kind, base]) => kind === 'd' && isExact(base)).map(([oid]) => oid)
  return new Set([...exactTypes, ...enums, ...domains])
}

function relationOf(
  relation: RelationRow,
  heirs: readonly RelationRow[],
  enums: ReadonlySet<number>,
  exact: ReadonlySet<number>,
): CatalogueRelation {
  const [oid, schema, name, kind, , , definition, columns] = relation
  const isStreamed = (column: string, generated: boolean): boolean =>
    !generated && heirs.every((heir) => heir[7].some((own) => own[0] === column && !own[2]))
  return {
    oid,
    schema,
    name,
    refusal: refusalOf(relation, heirs),
    columns: columns.map(([column, type, generated, deterministic]) => ({
      name: column,
      type,
      family: deterministic ? familyOf(type, enums.has(type)) : null,
      streamed: isStreamed(column, generated),
      compared: exact.has(type) && isStreamed(column, generated),
    })),
    definition,
    partitioned: kind === 'p',
    heirs: heirs.map((heir) => heir[0]),
  }
}

function refusalOf(relation: RelationRow, heirs: readonly RelationRow[]): string | null {
  const [, schema, name, , , rowSecurity] = relation
  if (schema === 'pg_catalog' || schema === 'information_schema') return `${name} is a system catalogue`
  const title = `${schema}.${name}`
  const own = oddity(relation)
  if (own !== null) return `${title} is ${own}`
  if (rowSecurity) return `${title} has row-level security`
  const odd = heirs.find((heir) => oddity(heir) !== null)
  return odd === undefined ? null : `${title}: its part ${odd[1]}.${odd[2]} is ${oddity(odd)}`
}

function oddity([, , , kind, persistence]: RelationRow): string | null {
  if (persistence === 'u') return 'unlogged'
  if (persistence === 't') return 'temporary'
  return oddKinds[kind] ?? null
}

const oddKinds: Readonly<Record<string, string>> = { m: 'a materialised view', f: 'a foreign table', S: 'a sequence' }
