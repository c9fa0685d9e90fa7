/**
 * How long a commit takes to be known by every process, and what following the change stream costs.
 *
 * - `commit_to_invalid`: from the moment a COMMIT resolved at the writer to the moment when the last of three followers has
 *   read the message that covers it, at 1,000 row changes a second in commits of one row; `to_visible` likewise for the
 *   visible position. After a spell that is not measured: a tracker runs for days.
 * - `row changes per CPU second`: the tracker's own CPU time, for small and for large transactions, with one column watched
 *   and full replica identity. CPU time and not time, because servers, store and writers share the machine.
 * - `growth`: how much memory the tracker takes while one transaction changes a million rows.
 * - `false misses`: what the filter's size and the rate of changes do to entries that nobody touched.
 */

import { fork } from 'node:child_process'
import { once } from 'node:events'

import pg from 'pg'

import { silentLogger } from '../src/core/log.ts'
import { readWritePosition } from '../src/engines/postgres/positions.ts'
import type { Lsn } from '../src/engines/position.ts'
import { templateId } from '../src/freshness/changes/hash.ts'
import { decodeMessage, type ChangeMessage } from '../src/freshness/changes/message.ts'
import { changeStream } from '../src/freshness/tracker/publisher.ts'
import { startTracker } from '../src/freshness/tracker/tracker.ts'
import { askToWatch } from '../src/freshness/tracker/watch-list.ts'
import { connectStore } from '../src/store/connect.ts'
import type { Store } from '../src/store/store.ts'
import { startTestCluster, until } from '../test/support/postgres.ts'
import { startStoreProcess } from '../test/support/store-process.ts'
import { measureFalseMisses } from './support/filter-misses.ts'
import { readUse } from './support/process-use.ts'
import { createReport } from './support/report.ts'

let tables = 0

interface Ground {
  readonly client: pg.Client
  readonly address: pg.ClientConfig
  readonly store: Store
  /** The tracker's process. */
  readonly tracker: number
  readonly follower: Follower
  /** All of them; the first is `follower`. */
  readonly followers: readonly Follower[]
}

async function runTracker(settings: string): Promise<void> {
  const { address, url } = JSON.parse(settings)
  const store = await connectStore({ url, log: silentLogger })
  startTracker({ database: 'main', address, store, log: silentLogger })
  process.on('disconnect', () => process.exit(0))
}

/** Another process's view: when it has read how far. */
class Follower {
  readonly known: { readonly to: Lsn; readonly visible: Lsn; readonly at: number }[] = []
  coverage: NonNullable<ChangeMessage['coverage']> | null = null
  readonly #store: Store
  #stopped = false
  readonly done: Promise<void>

  constructor(store: Store) {
    this.#store = store
    this.done = this.#follow()
  }

  get to(): Lsn {
    return this.known.at(-1)?.to ?? 0
  }

  stop(): void {
    this.#stopped = true
  }

  async #follow(): Promise<void> {
    for (let after = 0; !this.#stopped;) {
      const { entries } = await this.#store.readStream(changeStream('main'), after, { waitMs: 500 })
      for (const { number, value } of entries) {
        after = number
        const message = decodeMessage(value)
        if (message === null || !('to' in message)) continue
        this.coverage = message.coverage ?? this.coverage
        this.known.push({ to: message.to, visible: message.visible, at: performance.now() })
      }
    }
  }
}

async function measure(quick: boolean): Promise<boolean> {
  const endings: (() => Promise<unknown>)[] = []
  const cleanup = { after: (end: () => Promise<void>) => void endings.push(end) }
  try {
    const settings = { max_wal_size: '2GB', max_slot_wal_keep_size: '4GB' }
    const cluster = await startTestCluster(cleanup, { replicas: 0, settings })
    const server = await startStoreProcess()
    endings.unshift(() => server.stop())
    const store = await server.connect({ deadlineMs: 1000 })
    const given = JSON.stringify({ address: cluster.primary, url: `unix:${server.settings.socketPath}` })
    const child = fork(import.meta.filename, ['--tracker', given], { execArgv: process.execArgv })
    const stores = [store, await server.connect({ deadlineMs: 1000 }), await server.connect({ deadlineMs: 1000 })]
    const followers = stores.map((each) => new Follower(each))
    endings.unshift(async () => {
      child.kill('SIGKILL')
      for (const follower of followers) follower.stop()
      await Promise.all([once(child, 'exit'), ...followers.map(({ done }) => done)])
      for (const each of stores) await each.close()
    })
    const address = cluster.primary as pg.ClientConfig
    const client = new pg.Client(address)
    endings.unshift(() => client.end())
    await client.connect()
    return await measureAll(
      { client, address, store, tracker: child.pid ?? 0, follower: followers[0]!, followers },
      quick,
    )
  } finally {
    for (const end of endings) await end()
  }
}

async function measureAll(ground: Ground, quick: boolean): Promise<boolean> {
  const report = createReport({ name: 'freshness' })
  const contender = 'fourfold'
  await watchTable(ground, 'small')
  await measureLatency(ground, quick ? 2 : 5, 0)
  const { known, visible } = await measureLatency(ground, quick ? 2 : 10, 1)
  const goals = { p50: { atMost: 3 }, p99: { atMost: 15 } }
  for (const [name, share] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    report.add({
      contender,
      metric: `commit_to_invalid_${name}_ms`,
      unit: 'ms',
      values: [quantile(known, share)],
      goal: goals[name],
    })
    report.add({ contender, metric: `commit_to_visible_${name}_ms`, unit: 'ms', values: [quantile(visible, share)] })
  }
  const rows = quick ? 20_000 : 100_000
  const goal = { atLeast: 50_000 }
  for (const [size, each] of [
    ['one row', 1],
    ['100 rows', 100],
    ['4,000 rows', 4000],
  ] as const) {
    const values: number[] = []
    for (let run = 0; run < (quick ? 1 : 3); run += 1) values.push(await measureThroughput(ground, rows, each))
    report.add({
      contender,
      metric: `row changes per CPU second, commits of ${size}`,
      unit: '/s',
      values,
      ...(each > 1 ? { goal } : {}),
    })
  }
  for (const sets of [1, 20]) {
    const values: number[] = []
    for (let run = 0; run < (quick ? 1 : 3); run += 1) values.push(await measureThroughput(ground, rows, 100, sets))
    const metric = `row changes per CPU second, commits of 100 rows, ${sets} sets of columns that are read`
    report.add({ contender, metric, unit: '/s', values })
  }
  const million = quick ? 100_000 : 1_000_000
  const grown = await measureMemory(ground, million)
  report.add({
    contender,
    metric: `growth while one commit changes ${million} rows`,
    unit: 'MiB',
    values: [grown],
    goal: { atMost: 100 },
  })
  measureFalseMisses(report, quick)
  return report.finish()
}

/** @param sets how many sets of columns are read of it, beside all columns by two keys */
async function watchTable({ client, store, follower }: Ground, name: string, sets = 0): Promise<void> {
  await client.query(
    `create table ${name} (id int primary key, author int, slug text, title text, more text, updated timestamptz default now())`,
  )
  const { rows } = await client.query('select $1::regclass::oid::int as oid', [name])
  const table = rows[0].oid as number
  const all = [templateId(table, ['id']), templateId(table, ['author'])]
  const templates = [...all, ...columnSets.slice(0, sets).map((reads) => templateId(table, ['author'], reads))]
  await askToWatch(store, 'main', { tables: [table], templates })
  await until('coverage', async () => templates.every((template) => follower.coverage?.templates.has(template)))
}

/** Every second one has the column that is changed. */
const columnSets = Array.from({ length: 32 }, (_, at) =>
  ['updated', 'id', 'slug', 'title', 'more'].filter((_column, bit) => (at & (1 << bit)) !== 0),
)

/** Milliseconds from the answer to COMMIT until the follower knew of it, at 1,000 commits a second. */
async function measureLatency(
  { address, followers }: Ground,
  seconds: number,
  spell: number,
): Promise<{ known: number[]; visible: number[] }> {
  const commits: { readonly lsn: Lsn; readonly at: number }[] = []
  const writers = 10
  const perWriter = 100
  const write = async (writer: number): Promise<void> => {
    const client = new pg.Client(address)
    await client.connect()
    const began = performance.now()
    for (let count = 0; count < perWriter * seconds; count += 1) {
      const due = began + (count * 1000) / perWriter
      const early = due - performance.now()
      if (early > 0) await new Promise((resolve) => setTimeout(resolve, early))
      await client.query('insert into small (id, author, slug) values ($1, $2, $3)', [
        writer * 1e6 + spell * 1e5 + count,
        writer,
        `s-${count}`,
      ])
      const at = performance.now()
      commits.push({ lsn: (await readWritePosition(client)).lsn, at })
    }
    await client.end()
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
  const end = Math.max(...commits.map(({ lsn }) => lsn))
  await until('the end', async () => followers.every(({ known }) => (known.at(-1)?.visible ?? 0) >= end))
  const lastTo = (lsn: Lsn, what: 'to' | 'visible'): number =>
    Math.max(...followers.map((follower) => timeOf(follower, lsn, what)))
  return {
    known: commits.map(({ lsn, at }) => lastTo(lsn, 'to') - at),
    visible: commits.map(({ lsn, at }) => lastTo(lsn, 'visible') - at),
  }
}

/** When the follower knew of a position. What it knew before COMMIT was answered counts as at once. */
function timeOf({ known }: Follower, lsn: Lsn, what: 'to' | 'visible'): number {
  let low = 0
  let high = known.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if ((known[middle]?.[what] ?? 0) >= lsn) high = middle
    else low = middle + 1
  }
  return known[low]?.at ?? Infinity
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return Math.max(0, sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN)
}

/** How many changed rows the tracker takes in for each second of its own CPU time. */
async function measureThroughput(ground: Ground, rows: number, each: number, sets = 0): Promise<number> {
  const { client, tracker } = ground
  tables += 1
  const name = `rows_${tables}`
  await watchTable(ground, name, sets)
  await client.query(
    `insert into ${name} select g, g % 1000, 'slug-' || g, 'title of ' || g from generate_series(1, ${rows}) g`,
  )
  await reached(ground)
  const before = readUse(tracker).cpuMs
  // In the server: the writer must not be what is measured.
  await client.query(`do $$ begin for n in 0 .. ${Math.floor(rows / each) - 1} loop
    update ${name} set updated = now() where id > n * ${each} and id <= (n + 1) * ${each}; commit; end loop; end $$`)
  await reached(ground)
  return rows / ((readUse(tracker).cpuMs - before) / 1000)
}

async function reached({ client, follower }: Ground): Promise<void> {
  const { lsn } = await readWritePosition(client)
  await until('the follower', async () => follower.to >= lsn, 120_000)
}

/** How much the tracker's memory grows at most, in MiB. */
async function measureMemory(ground: Ground, rows: number): Promise<number> {
  const { client, tracker } = ground
  await watchTable(ground, 'large')
  await client.query(
    `insert into large select g, g % 1000, 'slug-' || g, 'title of ' || g from generate_series(1, ${rows}) g`,
  )
  await reached(ground)
  const before = readUse(tracker).residentMiB
  let most = before
  const timer = setInterval(() => (most = Math.max(most, readUse(tracker).residentMiB)), 20)
  await client.query('update large set updated = now(), author = author + 1')
  await reached(ground)
  clearInterval(timer)
  return most - before
}

if (process.argv[2] === '--tracker') await runTracker(process.argv[3] ?? '')
else process.exitCode = (await measure(process.argv.includes('--quick'))) ? 0 : 1
