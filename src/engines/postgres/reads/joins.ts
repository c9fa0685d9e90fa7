/**
 * Joins, and which rows of their two sides matter.
 *
 * A join is told which facts its own rows must satisfy to matter (`push`). What that means for its sides:
 *
 * - inner: a pair matters only if the facts and the join's condition hold for it, so they hold for both halves;
 * - left: what holds above restricts the left side. The condition restricts the right side alone: a left row without a
 *   partner is answered too. A fact above that names a column of the right side is not true of rows without a partner
 *   (facts are strict): then those rows do not matter, and the join is as good as an inner one;
 * - right: likewise; full: neither side is restricted, unless facts above name columns of one or of both.
 *
 * The right side of a left join may use what holds above too: a right row only ever stands beside left rows that matter.
 */

import { type Place, placeIn } from './analysis.ts'
import { factsOf } from './conditions.ts'
import { checkOperator, inspectConditions } from './expressions.ts'
import { equal, type Fact, mentions } from './facts.ts'
import { refuse } from './refusal.ts'
import { type Column, type Item, noteAll } from './scope.ts'
import { bindFunction, bindRelation, bindSubselect, pushSubqueries, type Source, type Surroundings } from './sources.ts'
import { conjuncts, listOf, namesOf, open, type Tree } from './tree.ts'

type JoinKind = 'inner' | 'left' | 'right' | 'full'

const joinKinds: Readonly<Record<string, JoinKind>> = {
  JOIN_INNER: 'inner',
  JOIN_LEFT: 'left',
  JOIN_RIGHT: 'right',
  JOIN_FULL: 'full',
}

/** Anything in FROM. */
export function bindSource(node: unknown, around: Surroundings): Source {
  const [kind, body] = open(node)
  switch (kind) {
    case 'RangeVar':
      return bindRelation(body, around)
    case 'RangeSubselect':
      return bindSubselect(body, around)
    case 'RangeFunction':
    case 'RangeTableFunc':
    case 'JsonTable':
      return bindFunction(kind, body, around)
    case 'JoinExpr':
      return bindJoin(body, around)
    case 'RangeTableSample':
      return refuse('TABLESAMPLE gives other rows each time')
    default:
      return refuse(`${kind} is not known to read only`)
  }
}

/** The entries of FROM: each sees those before it, all are joined without a condition. Null: there is no FROM. */
export function bindFrom(clause: unknown, around: Surroundings): Source | null {
  let all: Source | null = null
  for (const node of listOf(clause)) {
    const next = bindSource(node, { ...around, left: [...around.left, ...(all?.items ?? [])] })
    all = all === null ? next : crossed(all, next)
  }
  return all
}

function crossed(left: Source, right: Source): Source {
  return {
    ...combined(left, right),
    items: [...left.items, ...right.items],
    star: [...left.star, ...right.star],
    guaranteed: [...left.guaranteed, ...right.guaranteed],
    push: (facts) => pushJoin('inner', left, right, [], [], facts),
  }
}

function combined(left: Source, right: Source): Pick<Source, 'sources' | 'open'> {
  return { sources: new Set([...left.sources, ...right.sources]), open: left.open || right.open }
}

function bindJoin(body: Tree, around: Surroundings): Source {
  const kind = joinKinds[String(body.jointype)] ?? refuse(`${String(body.jointype)} is not known to read only`)
  const left = bindSource(body.larg, around)
  const right = bindSource(body.rarg, { ...around, left: [...around.left, ...left.items] })
  const merged = mergedColumns(body, kind, left, right)
  const place = placeIn(
    around.analysis,
    { outer: around.outer, items: [...left.items, ...right.items] },
    around.frame,
    around.place,
  )
  if (merged.columns.length > 0) checkOperator(['='], place)
  inspectConditions(conjuncts(body.quals), place)
  const sight = { scope: place.scope, catalogue: around.analysis.catalogue }
  const condition = [...merged.facts, ...factsOf(body.quals, sight)]
  return {
    ...combined(left, right),
    ...exposedJoin(body, left, right, merged.columns),
    guaranteed: guaranteedOf(kind, left, right, condition),
    push: (facts) => pushJoin(kind, left, right, condition, place.subqueries, facts),
  }
}

function guaranteedOf(kind: JoinKind, left: Source, right: Source, condition: readonly Fact[]): readonly Fact[] {
  if (kind === 'inner') return [...left.guaranteed, ...right.guaranteed, ...condition]
  if (kind === 'full') return []
  return kind === 'left' ? left.guaranteed : right.guaranteed
}

/** The rules at the head of this module. */
function pushJoin(
  kind: JoinKind,
  left: Source,
  right: Source,
  condition: readonly Fact[],
  subqueries: Place['subqueries'],
  facts: readonly Fact[],
): void {
  // A join in which rows of a side without a partner matter.
  const leftAlone = (kind === 'left' || kind === 'full') && !mentions(facts, right.sources)
  const rightAlone = (kind === 'right' || kind === 'full') && !mentions(facts, left.sources)
  const pair = [...facts, ...condition, ...left.guaranteed, ...right.guaranteed]
  left.push(leftAlone ? (rightAlone ? facts : [...facts, ...left.guaranteed]) : pair)
  right.push(rightAlone ? (leftAlone ? facts : [...facts, ...right.guaranteed]) : pair)
  pushSubqueries(subqueries, pair)
}

/** The columns of USING or NATURAL, which both sides have in common. */
function mergedColumns(
  body: Tree,
  kind: JoinKind,
  left: Source,
  right: Source,
): { columns: readonly Column[]; facts: readonly Fact[] } {
  if (body.isNatural === true && (left.open || right.open)) {
    return refuse('a NATURAL JOIN with something whose columns are not known')
  }
  const names = body.isNatural === true ? commonNames(left, right) : (namesOf(body.usingClause) ?? [])
  for (const { unqualified } of [...left.items, ...right.items]) {
    noteAll(unqualified.filter((column) => names.includes(column.name)))
  }
  const pairs = names.map((name) => ({ name, left: onlyColumn(left, name), right: onlyColumn(right, name) }))
  const columns = pairs.map(({ name, left: mine, right: theirs }) => {
    const known = equal(mine?.variable ?? null, theirs?.variable ?? null) !== null
    const side = kind === 'right' ? theirs : mine
    const usable = known && side !== undefined && kind !== 'full'
    return { name, variable: usable ? side.variable : { source: 0, type: null, family: null } }
  })
  const facts = pairs.flatMap((pair) => equal(pair.left?.variable ?? null, pair.right?.variable ?? null) ?? [])
  return { columns, facts }
}

function commonNames(left: Source, right: Source): readonly string[] {
  const theirs = new Set(right.star.map((column) => column.name))
  return [...new Set(left.star.map((column) => column.name))].filter((name) => theirs.has(name))
}

function onlyColumn(side: Source, name: string): Column | undefined {
  const found = side.items.flatMap((item) => item.unqualified.filter((column) => column.name === name))
  return found.length === 1 ? found[0] : undefined
}

/** What can be named of a join: an alias hides what is inside, merged columns hide the two that they come from. */
function exposedJoin(
  body: Tree,
  left: Source,
  right: Source,
  merged: readonly Column[],
): { items: readonly Item[]; star: readonly Column[] } {
  const hidden = new Set(merged.map((column) => column.name))
  const shown = (columns: readonly Column[]): readonly Column[] => columns.filter((column) => !hidden.has(column.name))
  const star = [...merged, ...shown(left.star), ...shown(right.star)]
  const alias = (body.alias as Tree | undefined)?.aliasname
  if (typeof alias === 'string') {
    const names = namesOf((body.alias as Tree).colnames) ?? []
    const open = left.open || right.open
    // Which column is which is not known where some are not known: any may be what is asked for.
    if (open) noteAll(star)
    const columns = open ? [] : star.map((column, at) => ({ ...column, name: names[at] ?? column.name }))
    const whole = { alias, schema: null, columns, unqualified: columns, open }
    return { items: [whole], star: columns }
  }
  const items = [...left.items, ...right.items].map((item) => ({ ...item, unqualified: shown(item.unqualified) }))
  const usingAlias = (body.join_using_alias as Tree | undefined)?.aliasname
  const common = { alias: typeof usingAlias === 'string' ? usingAlias : null, schema: null, columns: merged }
  const added = merged.length > 0 ? [{ ...common, unqualified: merged, open: false }] : []
  return { items: [...items, ...added], star }
}
