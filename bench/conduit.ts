/**
 * Conduit (20,000 articles, popularity by Zipf's law, 95 % reads) three times in one run, interleaved: on Fourfold's cached
 * objects, without a cache, and with a cache in Redis that is kept by hand. All have the same server, routes and writes,
 * two clones, and a PostgreSQL of their own with the same settings and contents; clones are asked in turn.
 *
 * - `cold_requests_per_s`: of the first seconds after the start.
 * - `requests_per_s`, `p99_ms`: after a warm-up and a lead-in; 32 connections, each with one request under way.
 * - `statements_per_request`: whatever the clones send to PostgreSQL, the asking for positions too.
 * - `cpu_us_per_request`: of all server processes: clones, PostgreSQL, Redis, the tracker; `clone_cpu_us_per_request`: of
 *   the clones alone.
 * - `hit_rate`: of look-ups in the cache, over all rounds; `feed_hit_rate`: of feeds. `feed_changed`: feeds that were
 *   over because something changed, per look-up: what articles being written costs.
 * - `stale_own`: answers that lack what their reader had just written. `stale_others`: answers that lack what another
 *   wrote more than a second before; `others_lag_max_ms`: the longest that any answer was behind. Over the whole run.
 */

import { tmpdir } from 'node:os'

import { startContenders, type Contender, type ContenderOptions } from './support/conduit-contenders.ts'
import { createLedger, readWorld, sendSpell, type Ledger, type World } from './support/conduit-load.ts'
import { createReport } from './support/report.ts'

import type { CloneCounts } from './conduit-apps/clone.ts'

const quick = process.argv.includes('--quick')
/** `--only=fourfold,manual`: some contenders, to look at while working; nothing is recorded then. */
const only = process.argv
  .find((argument) => argument.startsWith('--only='))
  ?.slice('--only='.length)
  .split(',')
const amounts = quick ? { users: 200, articles: 2_000 } : { users: 2_000, articles: 20_000 }
const rounds = quick ? 2 : 4
const spellMs = quick ? 1_500 : 5_000
/**
 * Before each spell, and not counted: while the others are measured a contender is idle, and Node then lets go of what
 * it had compiled, which no server under load does.
 */
const leadInMs = quick ? 500 : 10_000
/** Its first requests, with empty caches and cold code. */
const coldMs = quick ? 1_000 : 5_000
/**
 * Before the rounds: by then what is popular is in the caches, and what is run often is compiled. Those with a cache
 * get the same number of requests, however long they take for them, so that none has the warmer one. Without a cache
 * there is less to warm, and nothing to gain from more.
 */
const warmUpTo = quick ? { requests: 4_000, ms: 8_000 } : { requests: 60_000, ms: 180_000 }
const warmUpWithoutCache = quick ? { requests: 1_500, ms: 4_000 } : { requests: 15_000, ms: 60_000 }
const loops = 32
/** `FF_BENCH_DETAILS=1`: what is behind the figures, for whoever looks for the cause of one. */
const detailed = process.env['FF_BENCH_DETAILS'] !== undefined

interface Entrant {
  readonly contender: Contender
  readonly ledger: Ledger
  readonly figures: Record<'cold' | 'perSecond' | 'p99' | 'statements' | 'cpuUs' | 'cloneCpuUs', number[]>
  warm: CloneCounts | null
}

const options: readonly ContenderOptions[] = [
  { name: 'fourfold', kind: 'fourfold' },
  { name: 'no cache', kind: 'joins' },
  { name: 'manual', kind: 'manual' },
]
const contenders = await startContenders(
  options.filter(({ name }) => only === undefined || only.includes(name)),
  amounts,
)
let met = false
try {
  const world = await readWorld(contenders.list[0]!.db, contenders.secrets)
  const entrants = contenders.list.map((contender): Entrant => {
    return {
      contender,
      ledger: createLedger(),
      figures: { cold: [], perSecond: [], p99: [], statements: [], cpuUs: [], cloneCpuUs: [] },
      warm: null,
    }
  })
  for (const entrant of entrants) await warmUp(entrant, world)
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < entrants.length; turn += 1) {
      await measure(entrants[(turn + round) % entrants.length]!, world, round)
    }
  }
  met = await report(entrants)
} finally {
  await contenders.stop()
}
process.exitCode = met ? 0 : 1

async function warmUp(entrant: Entrant, world: World): Promise<void> {
  const { contender, ledger, figures } = entrant
  const common = { world, ledger, ports: contender.ports, loops }
  const cold = await sendSpell({ ...common, ms: coldMs, seed: 999 })
  figures.cold.push(cold.requests / cold.seconds)
  const amount = contender.name === 'no cache' ? warmUpWithoutCache : warmUpTo
  await sendSpell({ ...common, ...amount, seed: 1_000 })
  entrant.warm = await contender.counts()
}

async function measure({ contender, ledger, figures }: Entrant, world: World, round: number): Promise<void> {
  const common = { world, ledger, ports: contender.ports, loops }
  await sendSpell({ ...common, ms: leadInMs, seed: 100 + round })
  const before = { statements: (await contender.counts()).statements, cpuMs: contender.cpuMs() }
  const spell = await sendSpell({ ...common, ms: spellMs, seed: round + 1 })
  const { requests, seconds, latenciesMs } = spell
  const after = contender.cpuMs()
  const usOf = (part: keyof typeof after): number => ((after[part] - before.cpuMs[part]) * 1_000) / requests
  figures.cpuUs.push(usOf('clones') + usOf('postgres') + usOf('redis') + usOf('tracker'))
  figures.cloneCpuUs.push(usOf('clones'))
  if (detailed)
    console.log(contender.name, {
      clones: usOf('clones'),
      postgres: usOf('postgres'),
      redis: usOf('redis'),
      tracker: usOf('tracker'),
    })
  figures.statements.push(((await contender.counts()).statements - before.statements) / requests)
  figures.perSecond.push(requests / seconds)
  figures.p99.push(latenciesMs.toSorted((a, b) => a - b)[Math.floor(requests * 0.99)] ?? Number.NaN)
}

async function report(entrants: readonly Entrant[]): Promise<boolean> {
  const into = createReport({ name: 'conduit', ...(only === undefined && !quick ? {} : { directory: tmpdir() }) })
  for (const entrant of entrants) await addFigures(into, entrant)
  const of = (name: string): readonly number[] | undefined =>
    entrants.find(({ contender }) => contender.name === name)?.figures.perSecond
  const ratios = { 'no cache': 5, manual: 1 }
  for (const [name, least] of Object.entries(ratios)) {
    const [ours, theirs] = [of('fourfold'), of(name)]
    if (ours === undefined || theirs === undefined) continue
    const values = ours.map((value, round) => value / theirs[round]!)
    into.add({ contender: 'fourfold', metric: `times ${name}`, unit: 'x', values, goal: { atLeast: least } })
  }
  return into.finish()
}

async function addFigures(into: ReturnType<typeof createReport>, entrant: Entrant): Promise<void> {
  const { contender, figures, ledger } = entrant
  const ours = contender.name === 'fourfold' ? { goal: { atMost: 0 } } : {}
  const row = (metric: string, unit: string, values: readonly number[], goal: object = {}): void =>
    into.add({ contender: contender.name, metric, unit, values, ...goal })
  row('cold_requests_per_s', '1/s', figures.cold)
  row('requests_per_s', '1/s', figures.perSecond)
  row('p99_ms', 'ms', figures.p99)
  row('statements_per_request', '', figures.statements)
  row('cpu_us_per_request', 'µs', figures.cpuUs)
  row('clone_cpu_us_per_request', 'µs', figures.cloneCpuUs)
  const counts = await contender.counts()
  const rate = rateSince(entrant.warm, counts)
  if (counts.hits > 0) row('hit_rate', '%', [rate('hits')])
  if (counts.objects['feed-page'] !== undefined) {
    row('feed_hit_rate', '%', [rate('hits', 'feed-page')])
    row('feed_changed', '%', [rate('changed', 'feed-page')])
  }
  if (detailed) console.log(contender.name, objectRates(entrant.warm, counts))
  row('stale_own', 'answers', [ledger.stale.own], ours)
  row('stale_others', 'answers', [ledger.stale.others], ours)
  row('others_lag_max_ms', 'ms', [ledger.stale.lagMs])
}

type Rated = { hits: number; misses: number; changed?: number }

/** In percent of all look-ups since the warm-up. */
function rateSince(warm: CloneCounts | null, counts: CloneCounts) {
  return (what: 'hits' | 'changed', object?: string): number => {
    const pick = (all: CloneCounts | null): Rated | undefined =>
      object === undefined ? (all ?? undefined) : all?.objects[object]
    const since = (field: 'hits' | 'misses' | 'changed'): number =>
      (pick(counts)?.[field] ?? 0) - (pick(warm)?.[field] ?? 0)
    return (100 * since(what)) / (since('hits') + since('misses'))
  }
}

function objectRates(warm: CloneCounts | null, counts: CloneCounts): object {
  const rate = rateSince(warm, counts)
  const names = Object.keys(counts.objects)
  return Object.fromEntries(
    names.map((name) => [
      name,
      `${rate('hits', name).toFixed(1)} % hits, ${rate('changed', name).toFixed(1)} % changed`,
    ]),
  )
}
