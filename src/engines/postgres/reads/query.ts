/**
 * One SELECT, and which rows of what it reads matter for its answer.
 *
 * The argument, from the outside in. A query is told which facts its rows must satisfy to matter (none for the
 * statement itself). A row of its FROM matters only if its WHERE is true for it; and if nothing but plain columns stands
 * between FROM and the answer, only if it satisfies the facts on these columns too, since a row that does not can only
 * add to or take from rows that do not matter. That is so through DISTINCT, UNION, INTERSECT, EXCEPT and a GROUP BY of
 * the column itself. It is not so where a row changes what becomes of others: LIMIT, OFFSET, DISTINCT ON, windows,
 * grouping sets; these stop facts from above. `joins.ts` has the rest of the way down to the tables.
 *
 * What is outside the query is constant while it runs: facts about outer columns hold inside a sub-select that is
 * evaluated for rows that satisfy them. An aggregate without GROUP BY answers a row even for no rows, so its
 * select list is evaluated whatever WHERE says.
 */

import { type Analysis, type BoundQuery, type CteFrame, type OutputColumn, type Place, placeIn } from './analysis.ts'
import { factsOf } from './conditions.ts'
import { inspect, inspectConditions } from './expressions.ts'
import { closureOf, type Fact, substitute } from './facts.ts'
import { bindFrom } from './joins.ts'
import { bindOutput, groupedVariables, type Output } from './output.ts'
import { refuse } from './refusal.ts'
import { noteName, type Scope, type Variable } from './scope.ts'
import { bindSetOperation } from './set-operations.ts'
import { pushSubqueries, type Source } from './sources.ts'
import { bodyOf, conjuncts, listOf, namesOf, type Tree } from './tree.ts'
import { bindWith } from './with.ts'

export function bindQuery(
  analysis: Analysis,
  select: Tree,
  scope: Scope | null,
  frame: CteFrame | null,
  outer: Place | null,
): BoundQuery {
  if (select.intoClause !== undefined) refuse('SELECT INTO makes a table')
  if (select.lockingClause !== undefined) refuse('FOR UPDATE or FOR SHARE locks rows')
  const inner = bindWith(select.withClause as Tree | undefined, analysis, scope, frame, outer)
  const bound = bindBody(analysis, select, scope, inner.frame, outer)
  return {
    ...bound,
    push(facts) {
      bound.push(facts)
      inner.pushUnused()
    },
  }
}

function bindBody(
  analysis: Analysis,
  select: Tree,
  scope: Scope | null,
  frame: CteFrame | null,
  outer: Place | null,
): BoundQuery {
  if (select.op !== undefined && select.op !== 'SETOP_NONE')
    return bindSetOperation(analysis, select, scope, frame, outer)
  if (select.valuesLists !== undefined) return bindValues(analysis, select, scope, frame, outer)
  return bindSelect(analysis, select, scope, frame, outer)
}

function bindSelect(
  analysis: Analysis,
  select: Tree,
  scope: Scope | null,
  frame: CteFrame | null,
  outer: Place | null,
): BoundQuery {
  const places = (items: Scope['items']): Place => placeIn(analysis, { outer: scope, items }, frame, outer)
  const above = places([])
  const from = bindFrom(select.fromClause, { analysis, outer: scope, frame, place: above, left: [] })
  const [where, list, limit] = [places(from?.items ?? []), places(from?.items ?? []), places(from?.items ?? [])]
  inspectConditions(conjuncts(select.whereClause), where)
  const output = bindOutput(select, list, from)
  inspectClauses(select, output, list)
  inspect([select.limitCount, select.limitOffset], limit)
  const condition = factsOf(select.whereClause, { scope: where.scope, catalogue: analysis.catalogue })
  const links = linksOf(select, list, output, from)
  const held = [...condition, ...(from?.guaranteed ?? [])]
  const alone = (list.aggregates || above.aggregates) && select.groupClause === undefined
  const listEvenEmpty = alone || select.havingClause !== undefined || hasGroupingSets(select)
  return {
    source: output.source,
    columns: output.columns,
    open: output.open,
    guaranteed: hasGroupingSets(select) ? [] : projected(held, output, from),
    push(facts) {
      const mine = substitute(facts, links)
      from?.push([...mine, ...condition])
      pushSubqueries(where.subqueries, [...mine, ...held])
      pushSubqueries(list.subqueries, listEvenEmpty ? mine : [...mine, ...held])
      pushSubqueries(limit.subqueries, mine)
    },
  }
}

/** HAVING, GROUP BY, ORDER BY, windows and DISTINCT ON. Where they may name a column of the answer, such names are fine. */
function inspectClauses(select: Tree, output: Output, place: Place): void {
  inspect([select.havingClause, select.windowClause], place)
  const named = new Set(output.columns.map((column) => column.name))
  const outputName = (node: unknown): boolean => {
    const sorted = bodyOf(node, 'SortBy')
    const path = namesOf(bodyOf(sorted?.node ?? node, 'ColumnRef')?.fields)
    return path !== null && path.length === 1 && named.has(path[0] ?? '') && sorted?.useOp === undefined
  }
  for (const clause of [select.groupClause, select.sortClause, select.distinctClause]) {
    for (const node of listOf(clause)) if (!outputName(node)) inspect(node, place)
  }
  // Grouping prefers a column of FROM to one of the answer.
  for (const node of listOf(select.groupClause).filter(outputName)) {
    noteName(place.scope, namesOf(bodyOf(node, 'ColumnRef')?.fields)?.[0] ?? '')
  }
}

function hasGroupingSets(select: Tree): boolean {
  return listOf(select.groupClause).some((node) => bodyOf(node, 'GroupingSet') !== null)
}

/** Through which columns facts from above reach what is below, by the columns that they are there. */
function linksOf(select: Tree, place: Place, output: Output, from: Source | null): ReadonlyMap<Variable, Variable> {
  const distinctOn = listOf(select.distinctClause).some((node) => Object.keys(node as Tree).length > 0)
  const stopped =
    select.limitCount !== undefined ||
    select.limitOffset !== undefined ||
    distinctOn ||
    place.windowed ||
    hasGroupingSets(select) ||
    (select.havingClause !== undefined && select.groupClause === undefined)
  const links = new Map<Variable, Variable>()
  if (stopped || from === null) return links
  const grouped = select.groupClause === undefined ? null : groupedVariables(select, place, output)
  output.columns.forEach(({ variable }, at) => {
    const inner = output.inner[at]
    if (!isOf(inner, from) || (grouped !== null && !grouped.has(inner))) return
    links.set(variable, inner)
  })
  return links
}

function isOf(variable: Variable | null | undefined, from: Source | null): variable is Variable {
  return (
    variable !== null &&
    variable !== undefined &&
    variable.family !== null &&
    from?.sources.has(variable.source) === true
  )
}

/** What holds below, said of the columns of the answer. Columns from outside are left out: no row need be there for them. */
function projected(held: readonly Fact[], output: Output, from: Source | null): readonly Fact[] {
  const closure = closureOf(held)
  const own = output.columns.flatMap((column, at): readonly (readonly [OutputColumn, Variable])[] => {
    const inner = output.inner[at]
    return isOf(inner, from) ? [[column, inner]] : []
  })
  return own.flatMap(([{ variable }, inner], at): readonly Fact[] => {
    const values = closure.values(inner)
    const twins = own.slice(at + 1).filter(([, other]) => other !== inner && closure.same(inner, other))
    return [
      ...(values === null ? [] : [{ kind: 'among', variable, values } as const]),
      ...twins.map(([twin]) => ({ kind: 'equal', left: variable, right: twin.variable }) as const),
    ]
  })
}

function bindValues(
  analysis: Analysis,
  select: Tree,
  scope: Scope | null,
  frame: CteFrame | null,
  outer: Place | null,
): BoundQuery {
  const place = placeIn(analysis, { outer: scope, items: [] }, frame, outer)
  const source = analysis.nextSource()
  const rows = listOf(select.valuesLists).map((row) => listOf(bodyOf(row, 'List')?.items))
  inspect([rows, select.limitCount, select.limitOffset], place)
  const columns = (rows[0] ?? []).map((_, at) => ({
    name: `column${at + 1}`,
    variable: { source, type: null, family: null },
  }))
  const sorted = { ...place, scope: { outer: scope, items: [itemOf(columns)] } }
  inspect(select.sortClause, sorted)
  return {
    source,
    columns,
    open: false,
    guaranteed: [],
    push: (facts) => pushSubqueries(place.subqueries, facts),
  }
}

function itemOf(columns: readonly { readonly name: string; readonly variable: Variable }[]): Scope['items'][number] {
  return { alias: null, schema: null, columns, unqualified: columns, open: false }
}
