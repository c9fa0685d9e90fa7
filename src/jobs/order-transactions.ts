/** The transactions that orders are given in: how statements are run in them, and whether they are of the right database. */

import { FourfoldError } from '../core/errors.ts'
import { runInside, transactionOrigin } from '../database/kysely-dialect.ts'

import type { Kysely, Transaction } from 'kysely'
import type { JobEngine, RunStatement } from './engine.ts'

/** A transaction of Kysely's, or anything with `query(text, values)` that has one open. */
export type OrderTransaction = Transaction<any> | QueryableClient

export interface QueryableClient {
  query(text: string, values: any[]): PromiseLike<{ readonly rows: readonly any[] }>
  /** Of `pg`'s clients: `I` where no transaction is open, by the last answer of the server. */
  getTransactionStatus?(): string | null
}

export class OrderTransactions {
  readonly #engine: Pick<JobEngine, 'isHere'>
  readonly #database: string
  /** Known to lead to where the jobs are: a client stays with its server and database. */
  readonly #known = new WeakSet<object>()

  /** @param database the name of the one that keeps the jobs */
  constructor(engine: Pick<JobEngine, 'isHere'>, database: string) {
    this.#engine = engine
    this.#database = database
  }

  /**
   * What runs statements in it.
   *
   * @throws FF_JOB_DATABASE where it is of another database, of none, or no transaction is open as far as that can be told
   */
  async enter(transaction: OrderTransaction): Promise<RunStatement> {
    if (isKysely(transaction)) return await this.#enterKysely(transaction)
    if (typeof transaction?.query !== 'function') {
      throw refused('It is neither a transaction of Kysely’s nor a client with query(text, values)')
    }
    if ('totalCount' in transaction) {
      throw refused('It is a pool, whose statements go to any of its connections: hand over the client that has begun')
    }
    const run: RunStatement = async (text, values) => await transaction.query(text, [...values])
    if (!this.#known.has(transaction)) await this.#check(run)
    this.#known.add(transaction)
    const isOpen = (): boolean => transaction.getTransactionStatus?.() !== 'I'
    // Its beginning may be under way: behind another statement that is known.
    if (!isOpen()) await run('select', [])
    if (!isOpen()) throw refused('It has no transaction open, so nothing would hold the order and the rest together')
    return run
  }

  async #enterKysely(transaction: Transaction<any>): Promise<RunStatement> {
    if (!transaction.isTransaction)
      throw refused('It is no transaction, so nothing would hold the order and the rest together')
    const run: RunStatement = (text, values) => runInside(transaction, text, values)
    const origin = transactionOrigin(transaction)
    // One that Fourfold did not make: any Kysely instance of the app's own.
    if (origin === null) await this.#check(run)
    else if (origin.database !== this.#database) throw elsewhere(`the database ${origin.database}`, this.#database)
    return run
  }

  async #check(run: RunStatement): Promise<void> {
    if (!(await this.#engine.isHere(run))) throw elsewhere('another database', this.#database)
  }
}

function isKysely(transaction: OrderTransaction): transaction is Transaction<any> {
  return typeof (transaction as Partial<Kysely<any>>)?.getExecutor === 'function'
}

function elsewhere(where: string, wanted: string): FourfoldError {
  return refused(
    `It is of ${where}, and the jobs are in ${wanted} (queue.database): nothing could commit both together`,
  )
}

function refused(why: string): FourfoldError {
  const message = `The transaction that an order was to be given \`in\` cannot be used. ${why}`
  return new FourfoldError('FF_JOB_DATABASE', message)
}
