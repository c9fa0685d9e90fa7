/** The columns that a SELECT answers, their names, and which columns of its FROM they are. */

import { columnOf } from './conditions.ts'
import { inspect } from './expressions.ts'
import { refuse, refuseUnknown } from './refusal.ts'
import { type Column, findItem, missingColumn, noteAll, type Variable } from './scope.ts'
import { bodyOf, constantOf, listOf, namesOf, open, type Tree } from './tree.ts'
import { typeOfValue } from './value-types.ts'

import type { OutputColumn, Place } from './analysis.ts'
import type { Source } from './sources.ts'

export interface Output {
  readonly source: number
  readonly columns: readonly OutputColumn[]
  /** For each column, what it is below; null: an expression. */
  readonly inner: readonly (Variable | null)[]
  readonly open: boolean
}

interface Target {
  readonly name: string | null
  readonly inner: Variable | null
  readonly type: number | null
}

export function bindOutput(select: Tree, place: Place, from: Source | null): Output {
  const source = place.analysis.nextSource()
  let open = false
  // Behind a star over columns that are not known, nobody knows which column is which.
  let misplaced = false
  const targets = listOf(select.targetList).flatMap((node): readonly Target[] => {
    const target = bodyOf(node, 'ResTarget') ?? {}
    const star = starOf(target.val, place, from)
    if (star !== null) {
      misplaced ||= star.open
      noteAll(star.columns)
      return star.columns.map(({ name, variable }) => ({ name, inner: variable, type: variable.type }))
    }
    inspect(target.val, place)
    const sight = { scope: place.scope, catalogue: place.analysis.catalogue }
    const inner = columnOf(target.val, sight)
    const name = typeof target.name === 'string' ? target.name : nameOf(target.val)?.name
    if (name === undefined) open = true
    return [{ name: name ?? null, inner, type: inner?.type ?? typeOfValue(target.val, sight) }]
  })
  if (misplaced) return { source, columns: [], inner: [], open: true }
  return {
    source,
    columns: targets.map(({ name, inner, type }) => ({
      name,
      variable: { source, type, family: inner?.family ?? null },
    })),
    inner: targets.map((target) => target.inner),
    open,
  }
}

function starOf(
  node: unknown,
  place: Place,
  from: Source | null,
): { readonly columns: readonly Column[]; readonly open: boolean } | null {
  const [kind, body] = open(node)
  const parts = listOf(kind === 'ColumnRef' ? body.fields : kind === 'A_Indirection' ? body.indirection : [])
  if (bodyOf(parts.at(-1), 'A_Star') === null) return null
  if (kind === 'A_Indirection') {
    inspect(node, place)
    return { columns: [], open: true }
  }
  const qualifier = namesOf(parts.slice(0, -1)) ?? []
  if (qualifier.length === 0) {
    return from === null ? refuse('* without anything to read from') : { columns: from.star, open: from.open }
  }
  const item = findItem(place.scope, qualifier)
  return item ?? refuseUnknown(missingColumn(`${qualifier.join('.')}.*`))
}

/** Which columns a GROUP BY groups by, as far as they are plain. */
export function groupedVariables(select: Tree, place: Place, output: Output): ReadonlySet<Variable> {
  const found = listOf(select.groupClause).map((node) => {
    const position = constantOf(node)
    if (position?.kind === 'integer') return output.inner[Number(position.text) - 1]
    const path = namesOf(bodyOf(node, 'ColumnRef')?.fields)
    const own = place.scope.items.flatMap((item) => item.unqualified.filter((column) => column.name === path?.[0]))
    // A column of FROM goes before a column of the answer of the same name.
    if (path?.length !== 1 || own.length > 0) return columnOf(node, sightOf(place))
    const at = output.columns.findIndex((column) => column.name === path[0])
    return at < 0 ? null : output.inner[at]
  })
  return new Set(found.filter((variable) => variable !== null && variable !== undefined))
}

function sightOf(place: Place): Parameters<typeof columnOf>[1] {
  return { scope: place.scope, catalogue: place.analysis.catalogue }
}

/** A name that the server finds for an expression; `null`: none that anything can refer to; undefined: not known here. */
type FoundName = { readonly name: string | null; readonly strong: boolean } | undefined

/** FigureColname of the server's parser. */
function nameOf(node: unknown): FoundName {
  const [kind, body] = open(node)
  const fixed = fixedNames[kind]
  if (fixed !== undefined) return { name: fixed, strong: fixed !== null }
  switch (kind) {
    case 'ColumnRef':
      return strongName(namesOf(body.fields)?.at(-1))
    case 'FuncCall':
      return strongName(namesOf(body.funcname)?.at(-1))
    case 'CollateClause':
      return nameOf(body.arg)
    case 'A_Expr':
      return body.kind === 'AEXPR_NULLIF' ? strongName('nullif') : { name: null, strong: false }
    case 'TypeCast':
      return nameOfCast(body)
    case 'CaseExpr': {
      const other = body.defresult === undefined ? undefined : nameOf(body.defresult)
      return other?.strong === true ? other : { name: 'case', strong: false }
    }
    case 'MinMaxExpr':
      return strongName(body.op === 'IS_LEAST' ? 'least' : 'greatest')
    case 'SubLink':
      return nameOfSublink(body)
    default:
      return undefined
  }
}

const fixedNames: Readonly<Record<string, string | null>> = {
  A_Const: null,
  ParamRef: null,
  BoolExpr: null,
  NullTest: null,
  BooleanTest: null,
  CoalesceExpr: 'coalesce',
  A_ArrayExpr: 'array',
  RowExpr: 'row',
  GroupingFunc: 'grouping',
}

function strongName(name: string | undefined): FoundName {
  return name === undefined ? undefined : { name, strong: true }
}

function nameOfCast(body: Tree): FoundName {
  const inner = nameOf(body.arg)
  if (inner === undefined || inner.strong) return inner
  const typeName = (body.typeName ?? {}) as Tree
  const name = namesOf((bodyOf(typeName, 'TypeName') ?? typeName).names)?.at(-1)
  return name === undefined ? undefined : { name, strong: false }
}

function nameOfSublink(body: Tree): FoundName {
  if (body.subLinkType === 'EXISTS_SUBLINK') return strongName('exists')
  if (body.subLinkType === 'ARRAY_SUBLINK') return strongName('array')
  if (body.subLinkType !== 'EXPR_SUBLINK') return { name: null, strong: false }
  const first = bodyOf(listOf(bodyOf(body.subselect, 'SelectStmt')?.targetList)[0], 'ResTarget')
  if (first === null) return undefined
  return typeof first.name === 'string' ? strongName(first.name) : nameOf(first.val)
}
