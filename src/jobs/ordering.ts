/** How jobs are ordered: by themselves, or in somebody's transaction; once for a request that names itself. */

import { FourfoldError } from '../core/errors.ts'
import { orderOf, type OrderOptions } from './order.ts'
import { policyOf } from './policy.ts'

import type { InputOf, JobContract } from './define-job.ts'
import type { BegunRequest, JobEngine, JobsDatabase, NewJob, Ordered, RunStatement } from './engine.ts'
import type { OrderTransaction, OrderTransactions } from './order-transactions.ts'
import type { PendingOrders } from './pending-orders.ts'
import type { Call, Teller } from './told.ts'

export interface EnqueueOptions extends OrderOptions {
  /** The transaction that the order belongs to: it is given if that commits. Default: none, the order is durable when the promise resolves. */
  readonly in?: OrderTransaction
}

export interface OrderingOptions {
  readonly engine: JobEngine
  /** For orders that are in no transaction of anybody's. */
  readonly database: JobsDatabase
  /** Resolves when the tables are there. */
  readonly ready: () => Promise<void>
  readonly teller: Teller
  readonly pending: PendingOrders
  readonly transactions: OrderTransactions
}

/** A job, and who orders it. */
export interface Wanted<Contract extends JobContract> {
  readonly job: Contract
  /** The reader's key, made where there is none; null: nobody. */
  readonly owner: () => Promise<string | null>
}

/** The job that a request has; or another is under way that names itself the same, or has asked for something else. */
export type OrderedOnce = Exclude<BegunRequest, { kind: 'new' }>

const maxOrders = 10_000

/** All or none, answered in their order. */
export async function orderMany<Contract extends JobContract>(
  core: OrderingOptions,
  { job, owner: ownerOf }: Wanted<Contract>,
  inputs: readonly InputOf<Contract>[],
  options: EnqueueOptions,
): Promise<readonly Ordered[]> {
  if (inputs.length === 0) return []
  if (inputs.length > maxOrders) {
    throw new FourfoldError('FF_JOB_INPUT', `${inputs.length} orders at once: expected at most ${maxOrders}`)
  }
  const policy = policyOf(job)
  const owner = await ownerOf()
  const orders = await Promise.all(inputs.map((input) => orderOf(job, policy, input, owner, options)))
  await core.ready()
  if (options.in === undefined) return await orderByThemselves(core, orders)
  const ordered = await core.engine.order(await core.transactions.enter(options.in), orders)
  const fresh = ordered.find(({ isNew }) => isNew)
  if (fresh !== undefined) core.pending.add(fresh.id)
  return ordered
}

async function orderByThemselves(
  { engine, database, teller }: OrderingOptions,
  orders: readonly NewJob[],
): Promise<readonly Ordered[]> {
  const [{ name }] = orders as [NewJob]
  const call: Call = orders.some(({ delayMs }) => delayMs > 0) ? { due: true } : { work: true, names: [name] }
  // Those that are like others may take several statements.
  if (orders.length > 1 && orders.some(({ uniqueKey }) => uniqueKey !== null)) {
    const ordered = await database.transaction((run) => engine.order(run, orders))
    teller.call(call)
    return ordered
  }
  return await teller.calling(call, (message) => engine.order(database.run, orders, message))
}

/** For a request that names itself: sent twice it is one job. */
export async function orderOnce<Contract extends JobContract>(
  core: OrderingOptions,
  { job, owner: ownerOf }: Wanted<Contract>,
  input: InputOf<Contract>,
  options: EnqueueOptions,
  named: { readonly key: string; readonly fingerprint: string },
): Promise<OrderedOnce> {
  const { engine, database, teller, pending, transactions } = core
  const owner = await ownerOf()
  const order = await orderOf(job, policyOf(job), input, owner, options)
  const request = { owner: owner ?? '', ...named }
  await core.ready()
  const work = async (run: RunStatement): Promise<OrderedOnce> => {
    const begun = await engine.beginRequest(run, request)
    if (begun.kind !== 'new') return begun
    const { id } = (await engine.order(run, [order]))[0]!
    await engine.endRequest(run, request, id)
    return { kind: 'known', id }
  }
  if (options.in === undefined) {
    const ordered = await database.transaction(work)
    teller.call({ work: true, due: true })
    return ordered
  }
  const ordered = await work(await transactions.enter(options.in))
  if (ordered.kind === 'known') pending.add(ordered.id)
  return ordered
}
