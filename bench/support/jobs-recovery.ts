/**
 * How long after the SIGKILL of the worker that holds a job another one begins it. The other one runs already. Where a
 * contender's own default is many minutes or hours, that default is reported, as documented and not measured.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { onPostgres, onRedis, ours } from './jobs-contenders.ts'
import { nowMs } from './jobs-queue.ts'
import { addTimes, addValues, keep, type Values } from './jobs-rounds.ts'

import type { Contender, JobsGround } from './jobs-ground.ts'
import type { HostStart } from './jobs-host.ts'
import type { Report } from './report.ts'

/** In seconds. A job that is locked for longer is taken by others; and when pg-boss calls an active job expired. */
const documented: Readonly<Record<string, number>> = {
  'graphile-worker': 4 * 3_600,
  'graphile-worker, batched': 4 * 3_600,
  'pg-boss': 900,
}
const withinMs = 150_000
const metric = 'recovery after SIGKILL'

export async function measureRecovery(ground: JobsGround, report: Report, quick: boolean): Promise<void> {
  const seconds: Values = new Map()
  const quickest: Values = new Map()
  const measured = ground.contenders.filter(({ name }) => [ours, onRedis, onPostgres].includes(name))
  for (let trial = 0; trial < (quick ? 1 : 3); trial += 1) {
    // They mostly wait: side by side they are in nobody's way.
    await Promise.all(measured.map(async (one) => keep(seconds, one.name, await recover(ground, one))))
  }
  const fourfold = ground.contenders.find(({ name }) => name === ours)!
  for (let trial = 0; trial < (quick ? 2 : 7); trial += 1) keep(quickest, ours, await recover(ground, fourfold, '2s'))
  addValues(report, metric, 's', seconds)
  addValues(report, `${metric}, queue.recoverWithin at 2s`, 's', quickest)
  for (const [contender, value] of Object.entries(documented)) {
    report.add({ contender, metric: `${metric}: documented default, not measured`, unit: 's', values: [value] })
  }
  const slow = new Map<string, readonly number[]>([...seconds].filter(([name]) => name !== ours))
  for (const [name, value] of Object.entries(documented))
    slow.set(
      name,
      seconds.get(ours)!.map(() => value),
    )
  for (const [peer, theirs] of slow) {
    const goal = peer === onRedis ? undefined : { atMost: 1 }
    const which = peer in documented ? `what ${peer} documents` : peer
    addTimes(report, `${metric}: times ${which}`, { ours: seconds.get(ours)!, theirs }, goal)
  }
}

async function recover(ground: JobsGround, contender: Contender, recoverWithin?: string): Promise<number> {
  const { name, places, client } = contender
  await client.clear()
  const [first, second] = [ground.host(), ground.host()]
  const given = recoverWithin === undefined ? {} : { recoverWithin }
  const start: HostStart = { contender: name, places, concurrency: 1, mode: 'hold', ...given }
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
