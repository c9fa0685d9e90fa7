/**
 * UNION, INTERSECT and EXCEPT. A row of the answer is made of rows with the same values, so a fact about a column of
 * the answer restricts that column of both sides; unless a LIMIT stands above.
 */

import { type Analysis, type BoundQuery, type CteFrame, type OutputColumn, type Place, placeIn } from './analysis.ts'
import { inspect } from './expressions.ts'
import { substitute } from './facts.ts'
import { pushSubqueries } from './sources.ts'
import { listOf, type Tree } from './tree.ts'

import type { Scope, Variable } from './scope.ts'

export function bindSetOperation(
  analysis: Analysis,
  select: Tree,
  scope: Scope | null,
  frame: CteFrame | null,
  outer: Place | null,
): BoundQuery {
  const source = analysis.nextSource()
  const left = analysis.bind(select.larg as Tree, scope, frame, outer)
  const right = analysis.bind(select.rarg as Tree, scope, frame, outer)
  const unclear = left.open || right.open || left.columns.length !== right.columns.length
  const columns = left.columns.map((column, at) => unified(source, column, unclear ? undefined : right.columns[at]))
  const place = placeIn(analysis, { outer: scope, items: [sortable(columns)] }, frame, outer)
  inspect([listOf(select.sortClause), select.limitCount, select.limitOffset], place)
  const limited = select.limitCount !== undefined || select.limitOffset !== undefined
  const linksTo = (side: BoundQuery): ReadonlyMap<Variable, Variable> =>
    new Map(limited || unclear ? [] : columns.map(({ variable }, at) => [variable, variableAt(side, at)]))
  return {
    source,
    columns,
    open: left.open || right.open,
    guaranteed: [],
    push(facts) {
      left.push(substitute(facts, linksTo(left)))
      right.push(substitute(facts, linksTo(right)))
      pushSubqueries(place.subqueries, facts)
    },
  }
}

function variableAt(side: BoundQuery, at: number): Variable {
  return (side.columns[at] as OutputColumn).variable
}

/** Of one family only if both sides are: else the server turns them into something else. */
function unified(source: number, left: OutputColumn, right: OutputColumn | undefined): OutputColumn {
  const theirs = right?.variable ?? { type: null, family: null }
  const { type, family } = left.variable
  return {
    name: left.name,
    variable: { source, type: type === theirs.type ? type : null, family: family === theirs.family ? family : null },
  }
}

function sortable(columns: readonly OutputColumn[]): Scope['items'][number] {
  const known = columns.flatMap(({ name, variable }) => (name === null ? [] : [{ name, variable }]))
  return { alias: null, schema: null, columns: known, unqualified: known, open: true }
}
