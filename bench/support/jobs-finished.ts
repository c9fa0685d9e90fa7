/** What a million finished jobs take, and how much slower the next ones are. Contenders keep what they keep by default. */

import { drain, order, timedDrain, usualConcurrency } from './jobs-speed.ts'
import { addValues, inRounds, keep, type Values } from './jobs-rounds.ts'

import type { Contender, JobsGround } from './jobs-ground.ts'
import type { Report } from './report.ts'

const fastest = 24

export async function measureFinished(
  ground: JobsGround,
  report: Report,
  { quick, count }: { readonly quick: boolean; readonly count: number },
): Promise<void> {
  const drainOnce = timedDrain(quick ? 500 : 3_000)
  const rounds = quick ? 2 : 3
  const rate = async (): Promise<Values> => {
    const rates: Values = new Map()
    await inRounds(ground.contenders, rounds, async (contender) => {
      keep(rates, contender.name, await drainOnce(contender, usualConcurrency))
    })
    return rates
  }
  for (const { client } of ground.contenders) await client.clear()
  const before = await rate()
  const bytes: Values = new Map()
  for (const contender of ground.contenders) keep(bytes, contender.name, (await grow(contender, count)) / count)
  const after = await rate()
  const kept = `with ${count.toLocaleString('en')} finished`
  addValues(report, `bytes of each finished job, ${kept}`, 'bytes', bytes)
  addValues(report, `jobs_per_s at ${usualConcurrency}, ${kept}`, '/s', after)
  for (const [contender, rates] of after) {
    const values = rates.map((value, round) => value / before.get(contender)![round]!)
    report.add({
      contender,
      metric: `jobs_per_s at ${usualConcurrency}: times without, ${kept}`,
      unit: 'times',
      values,
    })
  }
  for (const { client } of ground.contenders) await client.clear()
}

/** Answers by how many bytes the data has grown. */
async function grow(contender: Contender, count: number): Promise<number> {
  const { client } = contender
  if (client.grow === undefined) return 0
  await client.clear()
  // One that was really done, to copy.
  await order(client, 1)
  await drain(contender, 1, 1)
  const before = await client.bytes()
  await client.grow(count, async () => void (await drain(contender, fastest, count)))
  return (await client.bytes()) - before
}
