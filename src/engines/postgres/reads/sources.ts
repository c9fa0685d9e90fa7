/** What stands in FROM: tables, views, sub-selects, common table expressions, functions. Joins are in `joins.ts`. */

import { inspect } from './expressions.ts'
import { closureOf, type Fact } from './facts.ts'
import { refuse, refuseUnknown } from './refusal.ts'
import { type Column, type Item, missingColumn, type Scope, type Variable } from './scope.ts'
import { bodyOf, listOf, namesOf, type Tree } from './tree.ts'
import {
  type Analysis,
  type BoundQuery,
  type Cte,
  type CteFrame,
  type Place,
  placeIn,
  type Subquery,
} from './analysis.ts'

import type { CatalogueRelation } from './catalogue.ts'

/** Something in FROM, with its names resolved. */
export interface Source {
  /** The numbers of the references in it. */
  readonly sources: ReadonlySet<number>
  readonly items: readonly Item[]
  /** What `*` stands for. */
  readonly star: readonly Column[]
  /** There are columns beside these. */
  readonly open: boolean
  /** What holds for all its rows. */
  readonly guaranteed: readonly Fact[]
  /** Records what it reads, given that only those of its rows matter which satisfy the facts. */
  push(facts: readonly Fact[]): void
}

/** What surrounds a FROM clause. */
export interface Surroundings {
  readonly analysis: Analysis
  readonly outer: Scope | null
  readonly frame: CteFrame | null
  readonly place: Place | null
  /** What stands to the left, for LATERAL. */
  readonly left: readonly Item[]
}

/** @param range the body of a RangeVar */
export function bindRelation(range: Tree, around: Surroundings): Source {
  const { catalogue } = around.analysis
  const name = String(range.relname)
  const schema = typeof range.schemaname === 'string' ? range.schemaname : null
  const cte = schema === null ? findCte(around.frame, name) : null
  if (cte !== null) return named(bindCte(cte, around.analysis), range, name)
  if (range.catalogname !== undefined && range.catalogname !== catalogue.database) {
    return refuse('a table of another database')
  }
  const relation = catalogue.relation(schema, name)
  const title = schema === null ? name : `${schema}.${name}`
  if (schema !== null && schema.startsWith('pg_temp')) return refuse(`${title} is temporary`)
  if (relation === null) return refuseUnknown(`there is no table ${title} in the catalogue`)
  if (relation.refusal !== null) return refuse(relation.refusal)
  if (relation.definition === null) return bindTable(relation, range, around)
  return named(bindView(relation, relation.definition, around), range, name, relation.schema)
}

function bindTable(relation: CatalogueRelation, range: Tree, { analysis }: Surroundings): Source {
  const source = analysis.nextSource()
  const read = new Set<string>()
  const columns = relation.columns.map(({ name, type, family }) => ({
    name,
    variable: { source, type, family, note: () => void read.add(name) },
  }))
  const heirs = range.inh === true && !relation.partitioned ? relation.heirs : []
  const visible = renamed(columns, range, null)
  return {
    sources: new Set([source]),
    ...exposed(visible, aliasOf(range) ?? relation.name, aliasOf(range) === null ? relation.schema : null, false),
    guaranteed: [],
    push(facts) {
      const { values } = closureOf(facts)
      const keys = relation.columns.flatMap(({ name, family, streamed }, at) => {
        const found = streamed ? values(columns[at]?.variable as Variable) : null
        return found === null || family === null ? [] : [{ column: name, family, values: found }]
      })
      const narrowed = analysis.catalogue.ownEquality ? [] : keys
      for (const oid of [relation.oid, ...heirs]) {
        const each = analysis.catalogue.relationByOid(oid)
        if (each !== null) analysis.reads.push({ relation: each, keys: narrowed, read })
      }
    },
  }
}

function bindView(view: CatalogueRelation, definition: string, { analysis }: Surroundings): BoundQuery {
  const select = bodyOf(analysis.parse(definition), 'SelectStmt')
  const query = select === null ? null : analysis.bind(select, null, null, null)
  if (query === null || query.open || query.columns.length !== view.columns.length) {
    return refuseUnknown(`the view ${view.schema}.${view.name} is not as the catalogue has it`)
  }
  return {
    ...query,
    columns: query.columns.map((column, at) => ({ ...column, name: view.columns[at]?.name ?? null })),
  }
}

function findCte(frame: CteFrame | null, name: string): Cte | null {
  for (let at = frame; at !== null; at = at.outer) {
    const found = at.entries.get(name)
    if (found !== undefined) return found
  }
  return null
}

/** A common table expression is as if it stood where it is used; one that uses itself says nothing of its rows. */
function bindCte(cte: Cte, analysis: Analysis): BoundQuery {
  cte.used = true
  if (cte.busy) {
    cte.recursive = true
    const source = analysis.nextSource()
    const columns = cte.columnNames.map((name) => ({ name, variable: { source, type: null, family: null } }))
    return { source, columns, open: true, guaranteed: [], push: () => undefined }
  }
  cte.busy = true
  const query = analysis.bind(cte.body, cte.scope, cte.frame, cte.place)
  cte.busy = false
  const columns = query.columns.map((column, at) => ({ ...column, name: cte.columnNames[at] ?? column.name }))
  const bound = { ...query, columns, open: query.open || cte.open }
  return cte.recursive ? opaque(bound, analysis) : bound
}

function opaque(query: BoundQuery, analysis: Analysis): BoundQuery {
  const source = analysis.nextSource()
  const columns = query.columns.map(({ name }) => ({ name, variable: { source, type: null, family: null } }))
  return { ...query, source, columns, guaranteed: [] }
}

/** @param range the body of a RangeSubselect */
export function bindSubselect(range: Tree, around: Surroundings): Source {
  const { analysis, outer, frame, place } = around
  const select = bodyOf(range.subquery, 'SelectStmt') ?? refuse('a sub-select that is not a query')
  const scope = range.lateral === true ? { outer, items: around.left } : outer
  return named(analysis.bind(select, scope, frame, place), range, null)
}

/** A query as a source, under its alias or this name. */
function named(query: BoundQuery, range: Tree, name: string | null, schema: string | null = null): Source {
  const columns = query.columns.flatMap((column) => (column.name === null ? [] : [{ ...column, name: column.name }]))
  const nameless = columns.length < query.columns.length
  const open = query.open || nameless
  const alias = aliasOf(range)
  const hasNames = listOf((range.alias as Tree | undefined)?.colnames).length > 0
  const all = nameless && hasNames ? query.columns.map((column) => ({ ...column, name: column.name ?? '' })) : columns
  return {
    sources: new Set([query.source]),
    ...exposed(renamed(all, range, open ? query.source : null), alias ?? name, alias === null ? schema : null, open),
    guaranteed: query.guaranteed,
    push: query.push,
  }
}

/** Functions of all kinds in FROM: their rows come from their arguments. */
export function bindFunction(kind: string, range: Tree, around: Surroundings): Source {
  const { analysis, outer, frame } = around
  const source = analysis.nextSource()
  const place = placeIn(analysis, { outer, items: around.left }, frame, around.place)
  const { alias, ...rest } = range
  inspect(kind === 'RangeFunction' ? [range.functions, range.coldeflist] : rest, place)
  const variable: Variable = { source, type: null, family: null }
  const defined = listOf(range.coldeflist).map((node) => String(bodyOf(node, 'ColumnDef')?.colname))
  const names = namesOf((alias as Tree | undefined)?.colnames) ?? []
  const columns = (names.length > 0 ? names : defined).map((name) => ({ name, variable }))
  return {
    sources: new Set([source]),
    ...exposed(columns, aliasOf(range) ?? functionName(range), null, true),
    guaranteed: [],
    push: (facts) => pushSubqueries(place.subqueries, facts),
  }
}

function functionName(range: Tree): string | null {
  const first = bodyOf(listOf(range.functions)[0], 'List')
  return namesOf(bodyOf(listOf(first?.items)[0], 'FuncCall')?.funcname)?.at(-1) ?? null
}

export function pushSubqueries(subqueries: readonly Subquery[], facts: readonly Fact[]): void {
  for (const { query, links } of subqueries) query.push([...facts, ...links])
}

function aliasOf(range: Tree): string | null {
  const alias = (range.alias as Tree | undefined)?.aliasname
  return typeof alias === 'string' ? alias : null
}

/** The alias's column names, as far as they go; what they name beyond the known columns belongs to an open source. */
function renamed(columns: readonly Column[], range: Tree, openSource: number | null): readonly Column[] {
  const names = namesOf((range.alias as Tree | undefined)?.colnames) ?? []
  const beyond = names.slice(columns.length)
  if (beyond.length > 0 && openSource === null) return refuseUnknown(missingColumn(beyond[0] ?? ''))
  const variable = { source: openSource ?? 0, type: null, family: null }
  return [
    ...columns.map((column, at) => ({ ...column, name: names[at] ?? column.name })),
    ...beyond.map((name) => ({ name, variable })),
  ]
}

function exposed(
  columns: readonly Column[],
  alias: string | null,
  schema: string | null,
  open: boolean,
): Pick<Source, 'items' | 'star' | 'open'> {
  return { items: [{ alias, schema, columns, unqualified: columns, open }], star: columns, open }
}
