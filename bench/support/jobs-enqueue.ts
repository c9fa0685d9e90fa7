/** What an order costs the process that gives it: one, a thousand at once, and one as part of a transaction. */

import pg from 'pg'

import { addValues, inRounds, keep, type Values } from './jobs-rounds.ts'

import type { Contender, JobsGround } from './jobs-ground.ts'
import type { Report } from './report.ts'

interface Cost {
  readonly wall: Values
  readonly cpu: Values
}

const bulk = 1_000
const noOrder = 'no order'

export async function measureEnqueue(ground: JobsGround, report: Report, quick: boolean): Promise<void> {
  const pace = quick ? { rounds: 2, singles: 100, bulks: 2 } : { rounds: 7, singles: 500, bulks: 10 }
  const costs: Record<string, Cost> = {}
  let isWarm = false
  const measure = async (
    metric: string,
    name: string,
    { count, each }: { readonly count: number; readonly each: number },
    work: (n: number) => Promise<unknown>,
  ): Promise<void> => {
    const cost = (costs[metric] ??= { wall: new Map(), cpu: new Map() })
    const before = process.cpuUsage()
    const beganMs = performance.now()
    for (let n = 1; n <= count; n += 1) await work(n)
    const tookMs = performance.now() - beganMs
    const { user, system } = process.cpuUsage(before)
    if (isWarm) keep(cost.wall, name, (tookMs * 1_000) / count / each)
    if (isWarm) keep(cost.cpu, name, (user + system) / count / each)
  }
  // The first round is not counted.
  await inRounds(ground.contenders, 1 + pace.rounds, async (contender, round) => {
    isWarm = round > 0
    const { name, client } = contender
    await client.clear()
    await measure('enqueue, one', name, { count: pace.singles, each: 1 }, (n) => client.one(n))
    await measure(`enqueue, each of ${bulk}`, name, { count: pace.bulks, each: bulk }, () => client.many(bulk))
    const metric = 'transaction with an order'
    const within = { count: pace.singles, each: 1 }
    await withTransactions(contender, async (run) => {
      if (client.within !== undefined) {
        await measure(metric, name, within, (n) => run((one) => client.within!(one, n)))
      }
      if (name === 'fourfold') await measure(metric, noOrder, within, () => run())
    })
    await client.clear()
  })
  for (const [metric, { wall, cpu }] of Object.entries(costs)) {
    addValues(report, `${metric}, wall`, 'µs', wall)
    addValues(report, `${metric}, CPU`, 'µs', cpu)
  }
}

type Run = (work?: (client: pg.Client) => Promise<unknown>) => Promise<void>

/** Transactions that write a row of the app's own, on a plain connection to the contender's database. */
async function withTransactions({ places }: Contender, work: (run: Run) => Promise<void>): Promise<void> {
  const client = new pg.Client(places.address as pg.ClientConfig)
  await client.connect()
  try {
    await client.query('create table if not exists public.bench_rows (id bigserial primary key, text text not null)')
    await work(async (order) => {
      await client.query('begin')
      await client.query(`insert into public.bench_rows (text) values ('a row of the app')`)
      await order?.(client)
      await client.query('commit')
    })
  } finally {
    await client.end()
  }
}
