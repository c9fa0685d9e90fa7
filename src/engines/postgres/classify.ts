/**
 * Decides from a statement's text whether a standby may answer it. The grammar is the server's own (libpg-query), so
 * no comment, quote or keyword in a string can fool it.
 *
 * The text cannot show everything: a view can call nextval(), an operator can be the user's. Then the standby refuses
 * (`isReplicaRefusal`) and the primary answers. What would have an effect on a standby without being refused, such as
 * an advisory lock inside a view, is the app's to know.
 */

import { FourfoldError } from '../../core/errors.ts'
import { createRecentMap } from './classify/recent-map.ts'
import { shapeOf } from './classify/shape.ts'
import { judgeStatement, type StatementKind, type StatementVerdict, type Tree, verdict } from './classify/statement.ts'

export type { StatementKind, StatementVerdict, TransactionEffect } from './classify/statement.ts'

/**
 * - `read`: only reads; any eligible server may answer.
 * - `session`: writes nothing itself but depends on, or changes, the state of one connection or of the primary.
 * - `transaction`: BEGIN, COMMIT, SAVEPOINT and the like, perhaps with reads among them.
 * - `write`: anything else, and every text that is not understood.
 */
export interface Classification extends StatementVerdict {
  readonly kind: StatementKind
  /** How many statements the text holds; 0 when it is empty, not understood, or not looked into. */
  readonly statements: number
}

export interface Classifier {
  /** Never throws; the same text gives the same object as long as it is remembered. */
  classify(sql: string): Classification
}

export interface ClassifierOptions {
  /** Functions of the app's own that only read: `name`, or `schema.name` where queries write it so. Default: none. */
  readonly readFunctions?: readonly string[]
  /** How many texts are remembered, and how many shapes of queries beside them. Default 4,000. Texts beyond 16 KiB are parsed each time. */
  readonly maxEntries?: number
}

const longestRemembered = 16_384

/** Loads the grammar (about 7 ms and 15 MB, once in a process) and answers a classifier with its own memory. */
export async function loadClassifier(options: ClassifierOptions = {}): Promise<Classifier> {
  const parser = await loadParser()
  const vouched: ReadonlySet<string> = new Set(options.readFunctions)
  const known = createRecentMap<Classification>(options.maxEntries ?? 4_000)
  // Aside, so that texts that never come again do not push out what tells them apart.
  const shapes = createRecentMap<Classification>(options.maxEntries ?? 4_000)
  const classifyShort = (sql: string): Classification => {
    const shape = shapeOf(sql)
    const alike = shape === null ? undefined : shapes.get(shape)
    const found = alike ?? classifyText(sql, parser, vouched)
    known.set(sql, found)
    if (shape !== null && alike === undefined) shapes.set(shape, found)
    return found
  }
  return {
    classify: (sql) =>
      known.get(sql) ?? (sql.length > longestRemembered ? classifyText(sql, parser, vouched) : classifyShort(sql)),
  }
}

export type Parse = (sql: string) => { stmts?: { stmt?: unknown }[] }

/** The grammar of PostgreSQL, loaded once in a process. */
export async function loadParser(): Promise<Parse> {
  try {
    const grammar = await import('libpg-query')
    await grammar.loadModule()
    return grammar.parseSync
  } catch (cause) {
    const message =
      'The package libpg-query (the grammar of PostgreSQL) could not be loaded: run npm install libpg-query'
    throw new FourfoldError('FF_CORE_PACKAGE_MISSING', message, { cause, fields: { package: 'libpg-query' } })
  }
}

/** One statement that begins like this writes; there is no need to parse it to know. */
const plainWrite = /^\s*(?:insert|update|delete|merge)\s[^;]*;?\s*$/i
const certainWrite: Classification = { ...verdict('write', 'INSERT, UPDATE, DELETE or MERGE'), statements: 1 }

function classifyText(sql: string, parse: Parse, vouched: ReadonlySet<string>): Classification {
  if (plainWrite.test(sql)) return certainWrite
  if (sql.trim() === '') return { ...verdict('session', 'empty text'), statements: 0 }
  let statements: Tree[]
  try {
    statements = (parse(sql).stmts ?? []).map((entry) => entry.stmt as Tree)
  } catch (error) {
    const reason = `not understood: ${error instanceof Error ? error.message : String(error)}`
    return { ...verdict('write', reason), statements: 0 }
  }
  if (statements.length === 0) return { ...verdict('session', 'empty text'), statements: 0 }
  return combine(statements.map((statement) => judgeStatement(statement, vouched)))
}

const weight: Record<StatementKind, number> = { read: 0, session: 1, transaction: 2, write: 3 }

/** Several statements in one text travel together: the heaviest decides where to, the last transaction word what is left open. */
function combine(verdicts: readonly StatementVerdict[]): Classification {
  const heaviest = verdicts.reduce((most, next) => (weight[next.kind] > weight[most.kind] ? next : most))
  const last = verdicts.findLast((one) => one.transaction !== 'none')
  return {
    kind: heaviest.kind,
    reason: heaviest.reason,
    transaction: last?.transaction ?? 'none',
    readOnly: last?.readOnly ?? false,
    changesSession: verdicts.some((one) => one.changesSession),
    statements: verdicts.length,
  }
}
