/**
 * The walk over expressions: everything in them must be known to read only, columns must exist, functions and
 * operators must depend on their arguments alone. A kind of syntax that nobody listed refuses the statement.
 */

import { noteParameter, noteVolatile, type Place } from './analysis.ts'
import { isKnownAggregate, noteAggregate } from './aggregates.ts'
import { callEffect, zoneReason } from './functions.ts'
import { clockWord, inspectCast, inspectNamedType } from './casts.ts'
import { columnOf, isEquality, valueSource } from './conditions.ts'
import { type Fact, equal } from './facts.ts'
import { refuse, refuseUnknown } from './refusal.ts'
import { findItem, missingColumn, noteAll, resolve, type Variable } from './scope.ts'
import { bodyOf, constantOf, listOf, namesOf, parameterOf, type Tree } from './tree.ts'
import { isZoned, typeOids } from './types.ts'
import { isTextSearch, mayBe, mayBeZonedSeries } from './value-types.ts'
import { readingNodes } from '../classify/nodes.ts'

/** Looks through an expression, or a list of them. */
export function inspect(node: unknown, place: Place): void {
  if (typeof node !== 'object' || node === null) return
  if (Array.isArray(node)) {
    for (const part of node) inspect(part, place)
    return
  }
  for (const [key, child] of Object.entries(node)) inspectNode(key, child, place)
}

/** A condition that rows must satisfy: an `IN (SELECT …)` in it also links the rows of both sides. */
export function inspectConditions(parts: readonly unknown[], place: Place): void {
  for (const part of parts) {
    const link = bodyOf(part, 'SubLink')
    if (link === null) inspect(part, place)
    else inspectSublink(link, place, true)
  }
}

function inspectNode(key: string, child: unknown, place: Place): void {
  if (key === 'typeName') {
    inspectNamedType(child as Tree, place)
    return
  }
  // Node kinds begin with a capital, the fields of a node do not.
  const first = key.charCodeAt(0)
  if (first < 65 || first > 90) {
    inspect(child, place)
    return
  }
  const special = inspectors[key]
  if (special !== undefined) special(child as Tree, place)
  else if (readingNodes.has(key)) inspect(child, place)
  else refuse(key.endsWith('Stmt') ? `${key} inside the statement is not a query` : `${key} is not known to read only`)
}

const inspectors: Readonly<Record<string, (body: Tree, place: Place) => void>> = {
  ColumnRef: inspectColumn,
  ParamRef: (body, place) => noteParameter(place.analysis, Number(body.number ?? 0), 'other'),
  A_Const: (body, place) => {
    const text = constantOf({ A_Const: body })
    const word = text?.kind === 'text' ? clockWord(text.text) : null
    if (word !== null) noteVolatile(place.analysis, word)
  },
  A_Expr: inspectOperation,
  FuncCall: inspectCall,
  JsonObjectAgg: inspectAggregate,
  JsonArrayAgg: inspectAggregate,
  SubLink: (body, place) => inspectSublink(body, place, false),
  SQLValueFunction: (body, place) => {
    const name = String(body.op).replace('SVFOP_', '').replace(/_N$/, '')
    if (/DATE|TIME/.test(name)) noteVolatile(place.analysis, `${name} depends on the time`)
  },
  TypeCast: (body, place) => inspectCast(body, place, inspect),
  TypeName: inspectNamedType,
  A_Indirection: (body, place) => {
    for (const part of listOf(body.indirection)) {
      if (bodyOf(part, 'String') !== null) refuse('a field of a composite value may be a function')
    }
    inspect(body, place)
  },
  SortBy: (body, place) => {
    if (body.useOp !== undefined) checkOperator(namesOf(body.useOp), place)
    inspect(body.node, place)
  },
  // Collations have names of their own, and only columns without them are told apart.
  CollateClause: (body, place) => inspect(body.arg, place),
  RowExpr: (body, place) => inspect(body.args, place),
}

function inspectColumn(body: Tree, place: Place): void {
  const fields = listOf(body.fields)
  const star = bodyOf(fields.at(-1), 'A_Star') !== null
  const path = namesOf(star ? fields.slice(0, -1) : fields)
  if (path === null) return refuse('ColumnRef is not known to read only')
  if (!star) {
    resolve(place.scope, path)
    if (path.length > 1) checkAttribute(path, place)
  } else if (path.length === 0) for (const item of place.scope.items) noteAll(item.columns)
  else noteAll((findItem(place.scope, path) ?? refuseUnknown(missingColumn(`${path.join('.')}.*`))).columns)
}

/**
 * `g.price`, where `g` has no column of that name that we know, is `price(g)` to the server if there is such a function:
 * nothing would tell of what it reads.
 */
function checkAttribute(path: readonly string[], place: Place): void {
  const name = path.at(-1) ?? ''
  const item = findItem(place.scope, path.slice(0, -1))
  if (item === null || !item.open || item.columns.some((column) => column.name === name)) return
  const { catalogue } = place.analysis
  if (catalogue.functionOwner(null, name) === 'postgres' && !catalogue.isUnsteady(name)) return
  const names = `name the columns of ${path.at(-2)}, as in ${path.at(-2)}(${name})`
  refuse(`${path.join('.')} may be a call of the function ${name}: ${names}`)
}

function inspectAggregate(body: Tree, place: Place): void {
  const constructor = bodyOf({ JsonAggConstructor: body.constructor }, 'JsonAggConstructor')
  if (constructor?.over === undefined) noteAggregate(body, place)
  else place.windowed = true
  inspect(body, place)
}

function inspectCall(body: Tree, place: Place): void {
  const path = namesOf(body.funcname) ?? refuse('a function without a name')
  const name = path.at(-1) ?? ''
  const schema = path.length > 1 ? (path.at(-2) ?? null) : null
  const args = listOf(body.args)
  if (name === 'date' && args.length === 1) {
    checkOwner(schema, name, place, true)
    inspectCast({ arg: args[0], typeName: { names: [{ String: { sval: 'date' } }] } }, place, inspect)
    return
  }
  checkOwner(schema, name, place, callEffect(name, args.length, hasConfiguration(args)) !== 'unknown')
  const effect = callEffect(name, args.length, hasConfiguration(args))
  if (effect === 'unknown') return refuse(`${name}() is not known to depend on its arguments alone`)
  if (typeof effect === 'object') noteVolatile(place.analysis, effect.volatile)
  else if (effect === 'none-unless-zoned' && callMayBeZoned(name, args, place)) {
    noteVolatile(place.analysis, zoneReason(name))
  }
  if (body.over !== undefined) place.windowed = true
  else if (isKnownAggregate(name)) noteAggregate(body, place)
  const { funcname: _, ...rest } = body
  inspect(rest, place)
}

function checkOwner(schema: string | null, name: string, place: Place, known: boolean): void {
  const owner = place.analysis.catalogue.functionOwner(schema, name)
  const foreign = schema !== null && schema !== 'pg_catalog' && owner !== 'extension'
  if (!known || foreign) refuse(`${name}() is not known to depend on its arguments alone`)
  if (owner === 'app') refuse(`${name}() may be a function of the app's own`)
}

/** `ts_headline('english', document, query)`: four arguments, or a first one that is a configuration. */
function hasConfiguration(args: readonly unknown[]): boolean {
  if (args.length === 4) return true
  return args.length === 3 && constantOf(args[0])?.kind === 'text' && constantOf(args[2])?.kind !== 'text'
}

function callMayBeZoned(name: string, args: readonly unknown[], place: Place): boolean {
  const sight = { scope: place.scope, catalogue: place.analysis.catalogue }
  if (name === 'generate_series') return mayBeZonedSeries(args, sight)
  // With a zone among the arguments, only a time without a date depends on the day.
  if (name === 'timezone') return mayBe(args[1], sight, (type) => type === typeOids.timetz)
  const hasDateForm = name === 'extract' || name === 'date_part'
  const values = name === 'to_char' ? args.slice(0, 1) : name === 'overlaps' ? args : args.slice(1)
  return values.some((value) => mayBe(value, sight, hasDateForm ? isZoned : isZonedOrDate))
}

/** A function without a form for dates takes them as timestamptz. */
function isZonedOrDate(type: number): boolean {
  return isZoned(type) || type === typeOids.date
}

function inspectOperation(body: Tree, place: Place): void {
  checkOperators(body, place)
  const kind = String(body.kind)
  if (kind === 'AEXPR_LIKE' || kind === 'AEXPR_ILIKE' || kind === 'AEXPR_SIMILAR') {
    inspect(body.lexpr, place)
    inspectText(body.rexpr, place)
    return
  }
  const names = namesOf(body.name)
  if (kind === 'AEXPR_OP' && textOperators.has(names?.at(-1) ?? '')) {
    inspect(body.lexpr, place)
    inspectText(body.rexpr, place)
    return
  }
  if (kind === 'AEXPR_OP' && names?.at(-1) === '@@') inspectSearch(body, place)
  if (isEquality(body) && inspectEquality(body, place)) return
  inspect(body.lexpr, place)
  inspect(body.rexpr, place)
}

function inspectSearch(body: Tree, place: Place): void {
  const sight = { scope: place.scope, catalogue: place.analysis.catalogue }
  if (isTextSearch(body.lexpr, sight) || isTextSearch(body.rexpr, sight)) return
  noteVolatile(place.analysis, '@@ on text depends on the setting default_text_search_config')
}

/** Their right side is text, or a key: never a date. */
const textOperators: ReadonlySet<string> = new Set(['->', '->>', '#>', '#>>', '~', '~*', '!~', '!~*', '?'])

/** A constant or parameter that the server takes for text. */
function inspectText(node: unknown, place: Place): void {
  const parameter = parameterOf(node)
  if (parameter !== null) noteParameter(place.analysis, parameter, 'pattern')
  else if (constantOf(node) === null) inspect(node, place)
}

/** Parameters and constants beside a column that rows are told apart by: the server takes them for its type. */
function inspectEquality(body: Tree, place: Place): boolean {
  if (body.kind === 'AEXPR_IN') {
    inspectOperands(body.lexpr, listOf(bodyOf(body.rexpr, 'List')?.items), '', place)
  } else if (body.kind === 'AEXPR_OP_ANY') {
    const elements = listOf(bodyOf(body.rexpr, 'A_ArrayExpr')?.elements)
    if (elements.length > 0) inspectOperands(body.lexpr, elements, '', place)
    else inspectOperands(body.lexpr, [body.rexpr], '[]', place)
  } else if (body.kind === 'AEXPR_OP') {
    const swapped = bodyOf(body.lexpr, 'ParamRef') !== null || constantOf(body.lexpr) !== null
    if (swapped) inspectOperands(body.rexpr, [body.lexpr], '', place)
    else inspectOperands(body.lexpr, [body.rexpr], '', place)
  } else return false
  return true
}

function inspectOperands(left: unknown, others: readonly unknown[], suffix: string, place: Place): void {
  const row = bodyOf(left, 'RowExpr')
  const rows = others.map((other) => bodyOf(other, 'RowExpr'))
  if (row !== null && rows.every((one) => one !== null)) {
    listOf(row.args).forEach((column, at) => {
      const nodes = rows.map((one) => listOf(one.args)[at])
      inspectOperands(column, nodes, suffix, place)
    })
    return
  }
  inspect(left, place)
  const { catalogue } = place.analysis
  const family = columnOf(left, { scope: place.scope, catalogue })?.family ?? null
  // The server finds one type for all of them: one that is in doubt leaves the others in doubt.
  const certain =
    family !== null && others.every((other) => suffix !== '' || valueSource(other, family, catalogue) !== null)
  for (const other of others) {
    const parameter = parameterOf(other)
    if (certain && parameter !== null) noteParameter(place.analysis, parameter, `${family}${suffix}`)
    else if (!certain || constantOf(other) === null) inspect(other, place)
  }
}

function checkOperators(body: Tree, place: Place): void {
  const between = /BETWEEN/.test(String(body.kind))
  if (!between) checkOperator(namesOf(body.name), place)
  else for (const name of ['<', '<=', '>', '>=']) checkOperator([name], place)
}

export function checkOperator(names: readonly string[] | null, place: Place): void {
  const name = names?.at(-1) ?? ''
  const schema = names !== null && names.length > 1 ? (names[0] ?? null) : null
  const owner = place.analysis.catalogue.operatorOwner(schema, name)
  if (owner === 'app' || (schema !== null && schema !== 'pg_catalog' && owner !== 'extension')) {
    refuse(`${name} may be an operator of the app's own`)
  }
}

function inspectSublink(body: Tree, place: Place, condition: boolean): void {
  const select = bodyOf(body.subselect, 'SelectStmt') ?? refuse('a sub-select that is not a query')
  if (body.testexpr !== undefined) {
    checkOperator(body.operName === undefined ? ['='] : namesOf(body.operName), place)
    inspect(body.testexpr, place)
  }
  const query = place.analysis.bind(select, place.scope, place.frame, place)
  const linked = condition && body.subLinkType === 'ANY_SUBLINK' && isPlainIn(body)
  place.subqueries.push({ query, links: linked ? links(body.testexpr, query.columns, place) : [] })
}

function isPlainIn(body: Tree): boolean {
  return body.operName === undefined || isEquality({ name: body.operName })
}

/** Rows of the sub-select that differ from what is looked for cannot make `IN` true. */
function links(tested: unknown, columns: readonly { readonly variable: Variable }[], place: Place): readonly Fact[] {
  const row = bodyOf(tested, 'RowExpr')
  const nodes = row === null ? [tested] : listOf(row.args)
  const sight = { scope: place.scope, catalogue: place.analysis.catalogue }
  return nodes.flatMap((node, at) => equal(columnOf(node, sight), columns[at]?.variable ?? null) ?? [])
}
