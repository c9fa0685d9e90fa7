/** Joins for one reader, or for one load: which databases they read, and inside which transaction. */

import { FourfoldError } from '../../core/errors.ts'
import { transactionOrigin } from '../../database/kysely-dialect.ts'
import { joinRows, type JoinExecutor } from './join.ts'
import { joinMistake } from './mistakes.ts'

import type { Key } from '../keys.ts'
import type { ObjectDefinition } from '../define-object.ts'
import type { Joins } from './spec.ts'
import type { JoinFunction, JoinOptions } from './types.ts'
import type { Kysely, Transaction } from 'kysely'

export interface JoinParts {
  /** In the order of the app's definition. */
  readonly names: readonly string[]
  readonly databases: Readonly<Record<string, unknown>>
  readonly getMany: (
    object: ObjectDefinition,
    keys: readonly Key[],
    transaction: Transaction<any> | undefined,
  ) => Promise<readonly unknown[]>
  /** Of a load: statements stay so small that each of their keys is recorded. */
  readonly recorded?: boolean
  /** Whether one of the databases is a transaction. */
  readonly oneByOne?: boolean
}

const keysPerStatement = 10_000
/** Beyond this, the analysis of reads takes the table as a whole. */
const keysPerRecordedStatement = 1_000

export function createJoin<Schemas>(parts: JoinParts): JoinFunction<Schemas> {
  const plain = executorOf(parts, undefined)
  const join = async (rows: readonly object[], joins: Joins, options: JoinOptions = {}): Promise<object[]> =>
    await joinRows(rows, joins, options.in === undefined ? plain : executorOf(parts, options.in))
  return join as unknown as JoinFunction<Schemas>
}

function executorOf(parts: JoinParts, transaction: Transaction<any> | undefined): JoinExecutor {
  const { names, databases, getMany, recorded = false, oneByOne = false } = parts
  const inside = transaction === undefined ? null : databaseOf(transaction)
  return {
    database: (given) => {
      const name = given ?? onlyOf(names)
      if (name === inside) return transaction!
      if (names.includes(name)) return databases[name] as Kysely<any>
      throw joinMistake(`expected a database of the app (${names.join(', ')}), got ${name}`)
    },
    getMany: (object, keys) => getMany(object, keys, transaction),
    keysPerStatement: recorded ? keysPerRecordedStatement : keysPerStatement,
    oneByOne: oneByOne || transaction !== undefined,
  }
}

function databaseOf(transaction: Transaction<any>): string {
  const origin = transactionOrigin(transaction)
  if (origin?.inTransaction) return origin.database
  throw new FourfoldError('FF_CACHE_IN_TRANSACTION', 'join in: expected a transaction of one of ff.databases')
}

function onlyOf(names: readonly string[]): string {
  const only = names.length === 1 ? names[0] : names.find((name) => name === 'main')
  if (only !== undefined) return only
  throw joinMistake(`expected table(…, { database }), one of ${names.join(', ')}, as none is called main`)
}
