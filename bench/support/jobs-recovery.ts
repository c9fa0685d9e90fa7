/**
 * How long after the SIGKILL of the worker that holds a job another one begins it. The other one runs already.
 *
 * As they come: where a contender's own default is many minutes or hours, that default is reported, as documented and
 * not measured. And `set to be soon`: Fourfold with `queue.recoverWithin` at its least of 2 s, BullMQ with `lockDuration` and
 * `stalledInterval` at 1 s, pg-boss with `heartbeatSeconds` at its least of 10 and supervision every second.
 * graphile-worker has nothing to set.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { batched, onPostgres, onRedis, ours, pgBoss, unbatched } from './jobs-contenders.ts'
import { nowMs } from './jobs-queue.ts'
import { addTimes, addValues, keep, type Values } from './jobs-rounds.ts'

import type { Contender, JobsGround } from './jobs-ground.ts'
import type { HostStart } from './jobs-host.ts'
import type { Report } from './report.ts'

/** In seconds: how long graphile-worker leaves a job to who locked it, and when pg-boss calls an active one expired. */
const documented: Readonly<Record<string, number>> = { [unbatched]: 14_400, [batched]: 14_400, [pgBoss]: 900 }
const withinMs = 150_000
const metric = 'recovery after SIGKILL'

export async function measureRecovery(ground: JobsGround, report: Report, quick: boolean): Promise<void> {
  const asTheyCome = await trials(ground, [ours, onRedis, onPostgres], { count: quick ? 1 : 3, soon: false })
  const soon = await trials(ground, [ours, pgBoss, onRedis, onPostgres], { count: quick ? 1 : 5, soon: true })
  addValues(report, metric, 's', asTheyCome)
  for (const [contender, value] of Object.entries(documented)) {
    report.add({ contender, metric: `${metric}: documented, not measured`, unit: 's', values: [value] })
  }
  addValues(report, `${metric}, set to be soon`, 's', soon)
  const mine = asTheyCome.get(ours)!
  for (const [peer, value] of Object.entries(documented)) {
    const both = { ours: mine, theirs: mine.map(() => value) }
    addTimes(report, `${metric}: times what ${peer} documents`, both, { atMost: 1 })
  }
  for (const peer of [onPostgres, onRedis]) {
    const both = { ours: mine, theirs: asTheyCome.get(peer)! }
    addTimes(report, `${metric}: times ${peer}`, both, peer === onPostgres ? { atMost: 1 } : undefined)
  }
}

async function trials(
  ground: JobsGround,
  names: readonly string[],
  { count, soon }: { readonly count: number; readonly soon: boolean },
): Promise<Values> {
  const seconds: Values = new Map()
  const contenders = ground.contenders.filter(({ name }) => names.includes(name))
  for (let trial = 0; trial < count; trial += 1) {
    // They mostly wait: side by side they are in nobody's way.
    await Promise.all(contenders.map(async (one) => keep(seconds, one.name, await recover(ground, one, soon))))
  }
  return seconds
}

async function recover(ground: JobsGround, contender: Contender, soon: boolean): Promise<number> {
  const { name, places, client } = contender
  await client.clear()
  const [first, second] = [ground.host(), ground.host()]
  const start: HostStart = { contender: name, places, concurrency: 1, mode: 'hold', soon }
  try {
    await first.start(start)
    const held = first.hear((news) => (news.news === 'begun' ? news.atMs : undefined))
    await client.one(1)
    await held
    const begun = second.hear((news) => (news.news === 'begun' ? news.atMs : undefined), withinMs)
    // Nobody waits for it if what comes before fails.
    begun.catch(() => undefined)
    await second.start(start)
    // Anywhere between two heartbeats.
    await pause(1_000 + 2_000 * Math.random())
    const killedMs = nowMs()
    first.kill()
    return ((await begun) - killedMs) / 1_000
  } finally {
    first.kill()
    second.kill()
  }
}
