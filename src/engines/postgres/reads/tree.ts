/** How the parse tree of libpg-query is taken apart. Fields that are false, zero or empty are left out of it. */

export type Tree = Record<string, unknown>

/** The one kind and body of a node such as `{ ColumnRef: {…} }`; an empty node has an empty kind. */
export function open(node: unknown): readonly [kind: string, body: Tree] {
  const entry = typeof node === 'object' && node !== null ? Object.entries(node)[0] : undefined
  return entry === undefined ? ['', {}] : [entry[0], entry[1] as Tree]
}

/** The body of a node of this kind, or null. */
export function bodyOf(node: unknown, kind: string): Tree | null {
  const [found, body] = open(node)
  return found === kind ? body : null
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The texts of a list of String nodes. Null where something else stands among them. */
export function namesOf(value: unknown): readonly string[] | null {
  const names = listOf(value).map((node) => bodyOf(node, 'String')?.sval ?? '')
  return names.every((name) => typeof name === 'string') && listOf(value).every(isString) ? names : null
}

function isString(node: unknown): boolean {
  return bodyOf(node, 'String') !== null
}

/** The parts of a conjunction, however it is nested. */
export function conjuncts(condition: unknown): readonly unknown[] {
  if (condition === undefined || condition === null) return []
  const body = bodyOf(condition, 'BoolExpr')
  return body?.boolop === 'AND_EXPR' ? listOf(body.args).flatMap(conjuncts) : [condition]
}

/** A constant as the grammar gives it: its kind and its text. */
export interface Constant {
  readonly kind: 'integer' | 'number' | 'text' | 'boolean' | 'null' | 'bits'
  readonly text: string
}

interface ConstantBody {
  readonly isnull?: boolean
  readonly ival?: { readonly ival?: number }
  readonly fval?: { readonly fval?: string }
  readonly boolval?: { readonly boolval?: boolean }
  readonly sval?: { readonly sval?: string }
}

export function constantOf(node: unknown): Constant | null {
  const body = bodyOf(node, 'A_Const') as ConstantBody | null
  if (body === null) return null
  if (body.isnull === true) return { kind: 'null', text: '' }
  if (body.ival !== undefined) return { kind: 'integer', text: String(body.ival.ival ?? 0) }
  if (body.fval !== undefined) return { kind: 'number', text: body.fval.fval ?? '' }
  if (body.boolval !== undefined) return { kind: 'boolean', text: body.boolval.boolval === true ? 't' : 'f' }
  if (body.sval !== undefined) return { kind: 'text', text: body.sval.sval ?? '' }
  return { kind: 'bits', text: '' }
}

/** The number of a parameter, from 1, or null. */
export function parameterOf(node: unknown): number | null {
  const body = bodyOf(node, 'ParamRef')
  return body === null ? null : Number(body.number ?? 0)
}
