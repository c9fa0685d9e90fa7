/**
 * What sessions cost and what they keep: Fourfold's on each of its stores beside express-session and @fastify/session
 * over connect-redis, all in one run. Each contender is two clones of the same small app, in processes of their own,
 * over the same Redis or a store of Fourfold's; rounds are interleaved, and figures are medians of rounds.
 *
 * - `requests_per_s`, `cpu_us_per_request` (of the clones), `store_cpu_us_per_request` (of the store's processes, with the
 *   whole of the database): four of five requests read a session, one writes a key of it.
 * - `lost_writes`: of acknowledged writes to different keys of one session, four at once, those that are not there, in %.
 * - `revived_sessions`: sessions that live on after a logout that came in the middle of a slow write, in %.
 *
 * Redis keeps nothing on its disc here; the embedded store hands every write to the system, PostgreSQL to the disc.
 */

import { tmpdir } from 'node:os'

import { startContender, type Contender, type ContenderOptions } from './support/session-clones.ts'
import * as load from './support/session-load.ts'
import { startStores, type BenchStores } from './support/session-stores.ts'
import { readUse } from './support/process-use.ts'
import { createReport } from './support/report.ts'

const quick = process.argv.includes('--quick')
/** `--only='fourfold, sql'`: one contender, to look at while working; nothing is recorded then. */
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length)
const rounds = quick ? 3 : 9
/** Rounds whose figures are thrown away: by then the hot paths are compiled. */
const warmRounds = 1
const pace = quick ? { requests: 1_000, sessions: 10 } : { requests: 6_000, sessions: 25 }
const connections = 32
const sessionsUnderLoad = 200

interface Figures {
  readonly perSecond: number[]
  readonly cpuUs: number[]
  readonly storeCpuUs: number[]
  readonly lost: number[]
  readonly revived: number[]
}

interface Entrant {
  readonly contender: Contender
  readonly client: load.Client
  readonly cookies: string[]
  readonly figures: Figures
}

const stores = await startStores()
const entrants: Entrant[] = []
let met = false
try {
  for (const options of contenders(stores)) {
    if (only === undefined || options.name === only) await enter(options)
  }
  for (let round = -warmRounds; round < rounds; round += 1) {
    for (let turn = 0; turn < entrants.length; turn += 1) {
      await measure(entrants[(turn + round + warmRounds) % entrants.length]!, round >= 0)
    }
  }
  met = report()
} finally {
  for (const { client, contender } of entrants) await client.close().then(() => contender.stop())
  await stores.stop()
}
process.exitCode = met ? 0 : 1

function contenders({ redis, memory, sql }: BenchStores): readonly ContenderOptions[] {
  const onRedis = { storeUrl: redis.url, storePid: redis.pid }
  return [
    { name: 'fourfold, memory', app: 'fourfold', storeUrl: memory.url, storePid: memory.pid },
    { name: 'fourfold, redis', app: 'fourfold', ...onRedis },
    { name: 'fourfold, sql', app: 'fourfold', storeUrl: sql.url, storePid: sql.pid },
    { name: 'fourfold/express, redis', app: 'fourfold-express', ...onRedis },
    { name: 'express-session + connect-redis', app: 'express', ...onRedis },
    { name: '@fastify/session + connect-redis', app: 'fastify', ...onRedis },
  ]
}

async function enter(options: ContenderOptions): Promise<void> {
  const contender = await startContender(options)
  const client = load.createClient(contender.ports, connections)
  const figures = { perSecond: [], cpuUs: [], storeCpuUs: [], lost: [], revived: [] }
  const entrant: Entrant = { contender, client, cookies: [], figures }
  entrants.push(entrant)
  await load.untilReady(client)
  for (let session = 0; session < sessionsUnderLoad; session += 1) entrant.cookies.push(await load.login(client))
}

async function measure({ contender, client, cookies, figures }: Entrant, counts: boolean): Promise<void> {
  const before = { clones: cpuMsOf(contender.pids), store: cpuMsOf([contender.storePid]) }
  const perSecond = await load.measureThroughput(client, cookies, { requests: pace.requests, connections })
  const cpuUs = ((cpuMsOf(contender.pids) - before.clones) * 1000) / pace.requests
  const storeCpuUs = ((cpuMsOf([contender.storePid]) - before.store) * 1000) / pace.requests
  const lost = await load.measureLostWrites(client, pace.sessions)
  const revived = await load.measureRevivedSessions(client, pace.sessions)
  if (!counts) return
  figures.perSecond.push(perSecond)
  figures.cpuUs.push(cpuUs)
  figures.storeCpuUs.push(storeCpuUs)
  figures.lost.push(lost)
  figures.revived.push(revived)
}

function cpuMsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + readUse(pid).cpuMs, 0)
}

function report(): boolean {
  const into = createReport({ name: 'session-stores', ...(only === undefined ? {} : { directory: tmpdir() }) })
  for (const { contender, figures } of entrants) {
    const ours = contender.name.startsWith('fourfold') ? { goal: { atMost: 0 } } : {}
    const of = { contender: contender.name }
    into.add({ ...of, metric: 'requests_per_s', unit: '1/s', values: figures.perSecond })
    into.add({ ...of, metric: 'cpu_us_per_request', unit: 'µs', values: figures.cpuUs })
    into.add({ ...of, metric: 'store_cpu_us_per_request', unit: 'µs', values: figures.storeCpuUs })
    into.add({ ...of, metric: 'lost_writes', unit: '%', values: figures.lost, ...ours })
    into.add({ ...of, metric: 'revived_sessions', unit: '%', values: figures.revived, ...ours })
  }
  return into.finish()
}
