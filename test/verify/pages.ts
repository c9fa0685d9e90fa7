/**
 * `npm run verify -- pages [--quick] [--history FILE] [--only main|planted]`: pages of a system started by `fourfold
 * start`, read by sessions that write, by strangers and beside a writer outside of the app, while workers, tracker, clones
 * and balancer are killed and stopped.
 *
 * - Every page served satisfies its reader's level: by the checker of `consistency`, which reads the raw history.
 * - When writes stop, every page equals a fresh render within 2 s.
 * - With changes apart, each page that shows the changed row is baked once in the whole cluster, and no other.
 * - Breaches that are planted are caught.
 */

import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import pg from 'pg'

import { createReport } from '../../bench/support/report.ts'
import { silentLogger } from '../../src/core/log.ts'
import { followAnnouncements } from '../../src/pages/announcements.ts'
import { connectStore } from '../../src/store/connect.ts'
import { readSystemNote } from '../../src/app/system-file.ts'
import { openLedger } from '../../src/clones/rollout/ledger.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'
import { Checker, type Violation } from './consistency-checker.ts'
import { openHistory } from './consistency/history.ts'
import { pageBreaches, plantedPagesEnv, type PageBreach } from './pages/breaches.ts'
import { pageFaults } from './pages/faults.ts'
import { itemsIn } from './pages/shown.ts'
import { allPages, keys, pagesOf, PageTraffic, pause } from './pages/traffic.ts'
import { processesNaming, signalProcess } from './sessions/processes.ts'
import { findPort, System } from './sessions/system.ts'

import type { SystemNote } from '../../src/app/system-file.ts'

const { values: flags } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    history: { type: 'string' },
    only: { type: 'string' },
  },
})
/** What the app is configured with. */
const maxStalenessMs = 2_000
const freshWithinMs = 2_000
const pace = flags.quick
  ? { steadyMs: 4_000, stormMs: 10_000, faultEveryMs: 2_000, rounds: 8, breachMs: 20_000 }
  : { steadyMs: 30_000, stormMs: 240_000, faultEveryMs: 4_000, rounds: 60, breachMs: 60_000 }
const app = fileURLToPath(new URL('pages/app.ts', import.meta.url))
const begunMs = performance.now()
const note = (what: string): void =>
  console.log(`${((performance.now() - begunMs) / 1000).toFixed(1).padStart(6)} s  ${what}`)
const report = createReport({
  name: 'verify-pages',
  command: `npm run verify -- pages${flags.quick ? ' --quick' : ''}`,
})
const endings: (() => Promise<void>)[] = []
const cleanup = { after: (one: () => Promise<void>): unknown => endings.push(one) }
const directory = await makeDirectory(cleanup, 'verify-pages-')

interface Ground {
  readonly system: System
  readonly data: string
  readonly note: SystemNote
}

try {
  if (flags.only !== 'planted') await withSystem({}, verify)
  if (flags.only !== 'main') for (const breach of pageBreaches) await catchBreach(breach)
  await waitFor('every process to end', () => processesNaming(directory).length === 0, 5_000).catch(() => undefined)
  add('processes left behind', 'processes', processesNaming(directory).length, { atMost: 0 })
  add('whole run', 's', (performance.now() - begunMs) / 1000)
  process.exitCode = report.finish() ? 0 : 1
} finally {
  for (const pid of processesNaming(directory)) signalProcess(pid, 'SIGCONT')
  for (const one of endings) await one()
}

async function verify(ground: Ground): Promise<void> {
  const violations: Violation[] = []
  const checker = new Checker({ maxStalenessMs })
  const history = openHistory(flags.history ?? join(directory, 'history.jsonl'), (line) => {
    const violation = checker.add(line)
    if (violation === null) return
    violations.push(violation)
    if (violations.length <= 5) note(`VIOLATION: ${violation.what} ${JSON.stringify(violation.line).slice(0, 300)}`)
  })
  const traffic = trafficOf(ground, history, 'main')
  await waitFor('pages to be baked ahead', async () => await balancerHas(ground.system.url, allPages), 30_000)
  traffic.start()
  await pause(pace.steadyMs)
  const steady = { ...traffic.counts }
  note(`steady: ${JSON.stringify(steady)}`)
  await storm(ground.system)
  await traffic.stop()
  await equalsFreshRenders(ground)
  await traffic.close()
  await history.close()
  add('violations', 'reads', violations.length, { atMost: 0 })
  add('pages read', 'reads', traffic.counts.reads)
  add('reads that failed', 'reads', traffic.counts.failed)
  add('writes', 'writes', traffic.counts.writes)
  add('of the reads in steady use, from the balancer', '%', (100 * steady.fromBalancer) / steady.reads, { atLeast: 50 })
  await bakesOnce(ground)
}

function trafficOf(
  { system, note: { connections } }: Ground,
  history: ReturnType<typeof openHistory>,
  name: string,
): PageTraffic {
  const { primary } = connections.databases['main']!
  const how = { sessions: 8, strangers: 4, writeShare: 0.15, outsideEveryMs: 150 }
  return new PageTraffic({ url: system.url, primary, history, name, ...how })
}

async function storm(system: System): Promise<void> {
  const untilMs = performance.now() + pace.stormMs
  for (let at = 0; performance.now() < untilMs; at += 1) {
    const fault = pageFaults[at % pageFaults.length]!
    await fault.run(system)
    note(fault.name)
    await pause(pace.faultEveryMs)
  }
}

/** Nobody writes any more: what is shown must be what the database holds, on every page, as soon as that. */
async function equalsFreshRenders({ system, note: { connections } }: Ground): Promise<void> {
  const begun = performance.now()
  const { primary } = connections.databases['main']!
  const client = new pg.Client(primary as pg.ClientConfig)
  await client.connect()
  const { rows } = await client.query('select key, version from counters')
  await client.end()
  const truth = new Map(rows.map((row) => [`counters/${row.key}`, Number(row.version)]))
  const isRight = async (page: string): Promise<boolean> => {
    const answer = await fetch(system.url + page).catch(() => null)
    const items = answer?.status === 200 ? itemsIn(await answer.text()) : []
    return items.length > 0 && items.every(({ key, version }) => truth.get(key) === version)
  }
  let wrong: string[] = [...allPages]
  while (wrong.length > 0 && performance.now() - begun < 10 * freshWithinMs) {
    const right = await Promise.all(wrong.map(isRight))
    wrong = wrong.filter((_, at) => !right[at])
  }
  if (wrong.length > 0) note(`NOT FRESH: ${wrong.slice(0, 10).join(' ')}`)
  const ms = wrong.length > 0 ? Number.POSITIVE_INFINITY : performance.now() - begun
  add('after the last write, until every page equals a fresh render', 'ms', ms, { atMost: freshWithinMs })
}

/** Each bake that is kept is told of in the store: these are counted. */
async function bakesOnce(ground: Ground): Promise<void> {
  const { data } = ground
  const { connections } = ground.note
  const store = await connectStore({ url: connections.storeUrl, deadlineMs: 1_000, log: silentLogger })
  const build = openLedger(data).read()?.admission.current.id ?? ''
  const baked = new Map<string, number>()
  const stop = followAnnouncements({
    store,
    build,
    log: silentLogger,
    hear: (told) => {
      for (const { source, key } of told) {
        const page = source.replace(/:\w+/g, (name) => String((key as Record<string, string>)[name.slice(1)]))
        if (source.startsWith('/')) baked.set(page, (baked.get(page) ?? 0) + 1)
      }
    },
    missed: () => note('announcements were missed'),
  })
  const history = openHistory(join(directory, 'apart.jsonl'))
  const traffic = trafficOf(ground, history, 'apart')
  const { primary } = connections.databases['main']!
  let touched = 0
  let bakes = 0
  let strays = 0
  try {
    await waitFor(
      'pages to be at rest',
      async () => {
        const before = total(baked)
        await pause(2_500)
        return total(baked) === before
      },
      30_000,
    )
    for (let round = 0; round < pace.rounds; round += 1) {
      baked.clear()
      const key = keys[(round * 7) % keys.length]!
      await traffic.writeFrom(primary, key)
      const wanted = pagesOf(key)
      await waitFor(`the pages of ${key} to be baked`, () => wanted.every((page) => baked.has(page)), 10_000).catch(
        () => undefined,
      )
      await pause(300)
      touched += wanted.length
      for (const [page, times] of baked) {
        if (wanted.includes(page)) bakes += times
        else strays += times
        if (times !== 1 || !wanted.includes(page)) note(`round ${round}: ${page} was baked ${times} times for ${key}`)
      }
    }
  } finally {
    await traffic.close()
    await history.close()
    await stop()
    await store.close()
  }
  add('bakes for each page that a change touched', 'bakes', bakes / touched, { atMost: 1 })
  add('of those, at least', 'bakes', bakes / touched, { atLeast: 1 })
  add('bakes of pages that no change touched', 'bakes', strays, { atMost: 0 })
}

async function catchBreach(breach: PageBreach): Promise<void> {
  const caught = await withSystem(plantedPagesEnv(breach), async (ground) => {
    const found: { ms: number | null; what: string } = { ms: null, what: '' }
    const begun = performance.now()
    const checker = new Checker({ maxStalenessMs })
    const history = openHistory(join(directory, `planted-${breach.id}.jsonl`), (line) => {
      const violation = checker.add(line)
      if (violation === null || found.ms !== null) return
      found.ms = performance.now() - begun
      found.what = violation.what
    })
    const traffic = trafficOf(ground, history, `planted${breach.id}`)
    traffic.start()
    for (let at = 0; found.ms === null && performance.now() - begun < pace.breachMs; at += 1) {
      await breach.meanwhile?.(ground.system)
      await pause(500)
    }
    await traffic.close()
    await history.close()
    return found
  })
  note(
    `planted: ${breach.name}: ${caught.ms === null ? 'NOT CAUGHT' : `caught after ${Math.round(caught.ms)} ms: ${caught.what}`}`,
  )
  const values = [caught.ms ?? Number.POSITIVE_INFINITY]
  report.add({
    contender: `planted: ${breach.name}`,
    metric: 'caught after',
    unit: 'ms',
    values,
    goal: { atMost: pace.breachMs },
  })
}

async function withSystem<T>(env: Readonly<Record<string, string>>, work: (ground: Ground) => Promise<T>): Promise<T> {
  const data = join(directory, `data-${Math.round(performance.now())}`)
  const settings = { NODE_COMPILE_CACHE: join(directory, 'compiled'), FOURFOLD_WORKERS_COUNT: '2', ...env }
  const system = new System({ data, clones: 2, port: await findPort(), env: settings, app })
  endAfter(cleanup, () => system.stop())
  await system.start()
  note('started')
  try {
    const written = await readSystemNote(data)
    if (written === null) throw new Error('expected the system to have written down where its servers are')
    return await work({ system, data, note: written })
  } finally {
    await system.stop()
  }
}

async function balancerHas(url: string, pages: readonly string[]): Promise<boolean> {
  const found = await Promise.all(
    pages.map(async (page) => {
      const answer = await fetch(url + page).catch(() => null)
      await answer?.arrayBuffer()
      return answer?.headers.get('cache-status')?.startsWith('fourfold-balancer') === true
    }),
  )
  return found.every(Boolean)
}

function total(counts: ReadonlyMap<string, number>): number {
  return [...counts.values()].reduce((sum, one) => sum + one, 0)
}

function add(metric: string, unit: string, value: number, goal?: { atMost: number } | { atLeast: number }): void {
  report.add({ contender: 'fourfold', metric, unit, values: [value], ...(goal && { goal }) })
}
