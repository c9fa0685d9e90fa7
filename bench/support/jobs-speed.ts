/** Trivial jobs per second, from the first that begins to the last that is recorded as done; and how soon an order is begun. */

import { setTimeout as pause } from 'node:timers/promises'

import { onRedis, ours, sqlPeers, unbatched } from './jobs-contenders.ts'
import { nowMs } from './jobs-queue.ts'
import { addTimes, addValues, inRounds, keep, quantile, type Values } from './jobs-rounds.ts'

import type { Contender, JobsGround } from './jobs-ground.ts'
import type { HostStart } from './jobs-host.ts'
import type { QueueClient } from './jobs-queue.ts'
import type { Report } from './report.ts'

const bulk = 1_000
const drainWithinMs = 600_000
const askAgainMs = 2
/** Of a worker whose latency is measured. */
export const usualConcurrency = 4

export async function order(client: QueueClient, count: number): Promise<void> {
  for (let given = 0; given < count; given += bulk) await client.many(Math.min(bulk, count - given))
}

/** Does what is ordered; answers jobs per second. */
export async function drain(
  { name, places, client, host }: Contender,
  concurrency: number,
  count: number,
): Promise<number> {
  const handled = host.hear((news) => (news.news === 'handled' ? news.firstMs : undefined), drainWithinMs)
  await host.start({ contender: name, places, concurrency, mode: 'count', expected: count })
  const firstMs = await handled
  while (!(await client.isDone())) await pause(askAgainMs)
  const tookMs = nowMs() - firstMs
  await host.rest()
  return (count * 1_000) / tookMs
}

/** The same for so many that it lasts about so long, after a first drain that warms up and says how many these are. */
export function timedDrain(lastsMs: number): (contender: Contender, concurrency: number) => Promise<number> {
  const counts = new Map<string, number>()
  const once = async (contender: Contender, concurrency: number, count: number): Promise<number> => {
    await order(contender.client, count)
    return await drain(contender, concurrency, count)
  }
  return async (contender, concurrency) => {
    const key = `${contender.name} ${concurrency}`
    if (!counts.has(key)) {
      const perSecond = await once(contender, concurrency, bulk)
      // Processes that are warm by then are faster than the first one was.
      counts.set(key, bulk * Math.max(1, Math.round((1.5 * perSecond * lastsMs) / 1_000 / bulk)))
    }
    return await once(contender, concurrency, counts.get(key)!)
  }
}

export async function measureThroughput(ground: JobsGround, report: Report, quick: boolean): Promise<void> {
  const drainOnce = timedDrain(quick ? 500 : 3_000)
  for (const concurrency of [1, 4, 24]) {
    const rates: Values = new Map()
    await inRounds(ground.contenders, quick ? 2 : 5, async (contender) => {
      await contender.client.clear()
      keep(rates, contender.name, await drainOnce(contender, concurrency))
    })
    addValues(report, `jobs_per_s at ${concurrency}`, '/s', rates)
    for (const peer of rates.keys()) {
      if (peer === ours) continue
      const both = { ours: rates.get(ours)!, theirs: rates.get(peer)! }
      const goal = peer === unbatched ? { atLeast: 1 } : undefined
      addTimes(report, `jobs_per_s at ${concurrency}: times ${peer}`, both, goal)
    }
  }
}

export async function measureLatency(ground: JobsGround, report: Report, quick: boolean): Promise<void> {
  const rounds = quick ? 2 : 5
  const middles: Values = new Map()
  const all: Values = new Map()
  // The first round is not counted.
  await inRounds(ground.contenders, 1 + rounds, async (contender, round) => {
    await contender.client.clear()
    const samples = await sampleLatency(contender, quick ? 20 : 100)
    if (round === 0) return
    for (const sample of samples) keep(all, contender.name, sample)
    keep(middles, contender.name, quantile(samples, 0.5))
  })
  addValues(report, 'enqueue to start, p50', 'ms', middles)
  // Of all rounds together: one of them is too short for it.
  const slowest: Values = new Map([...all].map(([name, samples]) => [name, [quantile(samples, 0.99)]]))
  addValues(report, 'enqueue to start, p99', 'ms', slowest)
  for (const peer of sqlPeers) {
    const both = { ours: middles.get(ours)!, theirs: middles.get(peer)! }
    addTimes(report, `enqueue to start, p50: times ${peer}`, both, { atMost: 1 })
  }
  for (const [metric, values] of Object.entries({ p50: middles, p99: slowest })) {
    const both = { ours: values.get(ours)!, theirs: values.get(onRedis)! }
    addTimes(report, `enqueue to start, ${metric}: times ${onRedis}`, both, { atMost: 2 })
  }
}

const warmUps = 5

async function sampleLatency({ name, places, client, host }: Contender, count: number): Promise<readonly number[]> {
  const start: HostStart = { contender: name, places, concurrency: usualConcurrency, mode: 'tell' }
  await host.start(start)
  const samples: number[] = []
  for (let n = 0; n < warmUps + count; n += 1) {
    const begun = host.hear((news) => (news.news === 'begun' && news.n === n ? news.atMs : undefined))
    const orderedMs = nowMs()
    await client.one(n)
    const tookMs = (await begun) - orderedMs
    if (n >= warmUps) samples.push(tookMs)
    // Until it is recorded and the worker waits again; never in step with anything that ticks.
    await pause(20 + 20 * Math.random())
  }
  await host.rest()
  return samples
}
