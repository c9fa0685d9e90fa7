/**
 * What one parsed statement does, seen from a router: the walk over libpg-query's tree.
 *
 * A statement counts as a read only if every node in it is of a kind known to read. A kind that nobody listed makes
 * it a write, so that grammar of the future is slow (the primary answers) and never wrong.
 */

import { functionEffect } from './functions.ts'
import { readingNodes, serverLocalRelation } from './nodes.ts'

export type StatementKind = 'read' | 'session' | 'transaction' | 'write'

/** What a statement leaves behind: an open transaction, none, or no change. */
export type TransactionEffect = 'opens' | 'closes' | 'none'

export interface StatementVerdict {
  readonly kind: StatementKind
  /** Why it is not a read, for logs and errors; empty for a read. */
  readonly reason: string
  readonly transaction: TransactionEffect
  /** BEGIN READ ONLY: everything inside may go to a replica. */
  readonly readOnly: boolean
  /** The connection is not like a fresh one afterwards: settings, temporary tables, prepared statements, locks. */
  readonly changesSession: boolean
}

export type Tree = Record<string, unknown>

const plain = { transaction: 'none', readOnly: false, changesSession: false } as const
const read: StatementVerdict = { ...plain, kind: 'read', reason: '' }

export function verdict(kind: StatementKind, reason: string, more: Partial<StatementVerdict> = {}): StatementVerdict {
  return { ...plain, kind, reason, ...more }
}

/** Judges one entry of `stmts`, such as `{ SelectStmt: {…} }`. */
export function judgeStatement(statement: Tree, vouched: ReadonlySet<string>): StatementVerdict {
  const [node, body] = Object.entries(statement)[0] as [string, Tree]
  if (node === 'SelectStmt') return judgeReading(statement, vouched)
  if (node === 'ExplainStmt') return judgeExplain(body, vouched)
  if (node === 'TransactionStmt') return judgeTransaction(body)
  if (sessionStatements.has(node)) {
    return verdict('session', `${node} belongs to one connection`, { changesSession: node !== 'VariableShowStmt' })
  }
  const temporary = makesTemporary(body)
  // What a prepared statement does is not in its EXECUTE: it may write.
  return verdict('write', `${node} is not a read`, { changesSession: temporary || node === 'ExecuteStmt' })
}

const sessionStatements: ReadonlySet<string> = new Set([
  'VariableShowStmt',
  'VariableSetStmt',
  'ListenStmt',
  'UnlistenStmt',
  'DiscardStmt',
  'DeclareCursorStmt',
  'FetchStmt',
  'ClosePortalStmt',
  'PrepareStmt',
  'DeallocateStmt',
  'LoadStmt',
  'ConstraintsSetStmt',
])

/** EXPLAIN of a read is a read, with ANALYZE too; of a write it is left to the primary even where nothing runs. */
function judgeExplain(body: Tree, vouched: ReadonlySet<string>): StatementVerdict {
  const inner = judgeStatement(body.query as Tree, vouched)
  return inner.kind === 'read' || inner.kind === 'session' ? inner : verdict('write', `EXPLAIN: ${inner.reason}`)
}

function judgeTransaction(body: Tree): StatementVerdict {
  const kind = String(body.kind).replace('TRANS_STMT_', '')
  if (kind === 'BEGIN' || kind === 'START') {
    return verdict('transaction', kind, { transaction: 'opens', readOnly: isReadOnly(body.options) })
  }
  if (kind === 'COMMIT' || kind === 'ROLLBACK') {
    return verdict('transaction', kind, { transaction: body.chain === true ? 'opens' : 'closes' })
  }
  if (kind === 'PREPARE') return verdict('transaction', 'PREPARE TRANSACTION', { transaction: 'closes' })
  // COMMIT PREPARED and ROLLBACK PREPARED run outside a transaction, and the former writes.
  return kind.endsWith('_PREPARED') ? verdict('write', kind) : verdict('transaction', kind)
}

function isReadOnly(options: unknown): boolean {
  if (!Array.isArray(options)) return false
  const modes = options.map((option: { DefElem?: Tree }) => option.DefElem)
  const last = modes.findLast((mode) => mode?.defname === 'transaction_read_only')
  const value = last?.arg as { A_Const?: { ival?: { ival?: number } } } | undefined
  return value?.A_Const?.ival?.ival === 1
}

function makesTemporary(body: Tree): boolean {
  const relation = (body.relation ?? body.view ?? (body.into as Tree | undefined)?.rel ?? body.sequence) as
    | Tree
    | undefined
  return relation?.relpersistence === 't'
}

/** The first thing in the tree that forbids a standby decides; a write outweighs what only binds the session. */
function judgeReading(statement: Tree, vouched: ReadonlySet<string>): StatementVerdict {
  let found = read
  const visit = (value: unknown): boolean => {
    if (typeof value !== 'object' || value === null) return false
    if (Array.isArray(value)) return value.some(visit)
    for (const [key, child] of Object.entries(value)) {
      const objection = judgeNode(key, child, vouched)
      if (objection !== null && found.kind !== 'write') found = objection
      if (found.kind === 'write' || visit(child)) return true
    }
    return false
  }
  visit(statement)
  return found
}

function judgeNode(key: string, child: unknown, vouched: ReadonlySet<string>): StatementVerdict | null {
  if (key === 'intoClause') {
    const temporary = ((child as Tree).rel as Tree | undefined)?.relpersistence === 't'
    return verdict('write', 'SELECT INTO makes a table', { changesSession: temporary })
  }
  if (key === 'lockingClause') return verdict('write', 'FOR UPDATE or FOR SHARE locks rows')
  if (key === 'FuncCall') return judgeCall(child as Tree, vouched)
  if (key === 'RangeVar') return judgeRelation(child as Tree)
  // Node kinds begin with a capital, the fields of a node do not.
  const first = key.charCodeAt(0)
  if (first < 65 || first > 90 || readingNodes.has(key)) return null
  return verdict('write', `${key} inside the statement is not a read`)
}

function judgeCall(call: Tree, vouched: ReadonlySet<string>): StatementVerdict | null {
  const path = (call.funcname as { String: { sval: string } }[]).map((part) => part.String.sval)
  const name = path.at(-1) ?? ''
  const effect = functionEffect(path.length > 1 ? (path.at(-2) ?? null) : null, name, vouched)
  if (effect === 'none') return null
  if (effect === 'unknown')
    return verdict('write', `${path.join('.')}() may write; list it in readFunctions if it does not`)
  return verdict('session', `${name}() belongs to one connection or server`, { changesSession: !answersOnly.has(name) })
}

/** Bound to a session or server, and leaving it as it was. */
const answersOnly: ReadonlySet<string> = new Set([
  'current_setting',
  'currval',
  'lastval',
  'pg_backend_pid',
  'pg_is_in_recovery',
])

function judgeRelation(relation: Tree): StatementVerdict | null {
  const schema = typeof relation.schemaname === 'string' ? relation.schemaname : null
  if (!serverLocalRelation(schema, String(relation.relname))) return null
  return verdict('session', `${String(relation.relname)} tells of one server or connection`)
}
