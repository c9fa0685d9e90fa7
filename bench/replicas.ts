/**
 * What a statement through the routed pool costs this process, against plain `pg` on the same server.
 *
 * Reads are of one reader at `session`, who has written once and whose token is live, with a replica that has replayed
 * it: a statement counts only if the replica answered. How often the token is read makes the difference, so three ways
 * stand beside each other:
 * - `fourfold`: as in a request: a scope is made, its token is read once, and ten statements run in it, one after the
 *   other.
 * - `fourfold, token read before each statement`: as in a script, the default of `ff.as`.
 * - `fourfold, routing alone`: one scope for the whole run, so the token is read once a second.
 *
 * `plain pg` is `new pg.Pool` with the same number of connections and no deadlines; what Fourfold's deadlines cost is
 * in its overhead. CPU is user and system time of this process; servers and store run in others.
 */

import pg from 'pg'

import { measureInterleaved, type Work } from './support/cpu.ts'
import { startLiveApp, type LiveApp } from './support/live-app.ts'
import { createReport, type Report } from './support/report.ts'

const quick = process.argv.includes('--quick')
const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length)
const rowCount = 1_000
const statementsPerRequest = 10
const reader = 'user:bench'
const rounds = quick ? 5 : 21
const readGoal = 0.05

type Text = (index: number) => string

const plain = 'plain pg'
const readTexts: Readonly<Record<string, Text>> = {
  'repeated reads': () => 'select id, author, text from notes where id = $1',
  'never-repeated reads': (index) => `select id, author, text from notes where id = $1 and ${index} = ${index}`,
}
const writeTexts: Readonly<Record<string, Text>> = {
  'repeated writes': () => `insert into notes (author, text) values ($1, 'x')`,
  'never-repeated writes': (index) => `insert into notes (author, text) values ($1, 'x ${index}')`,
}

interface Group {
  readonly name: string
  readonly contenders: Readonly<Record<string, Work>>
  readonly clients: number
  readonly count: number
  /** How many statements a piece of work has. Default 1. */
  readonly statements?: number
  readonly metric: string
  readonly goal?: number
}

const live = await startLiveApp(rowCount)
const plainReplica = new pg.Pool({ ...live.servers.replicas[0]?.address, max: live.servers.poolSize })
const plainPrimary = new pg.Pool({ ...live.servers.primary, max: live.servers.poolSize })
const report = createReport({ name: 'replicas' })
// A connection that is lost while idle; a statement that fails shows by itself.
for (const pool of [plainReplica, plainPrimary]) pool.on('error', () => undefined)
let met = false
try {
  await writeOnce(live)
  for (const group of [...readGroups(live), ...writeGroups(live), ...transactionGroups(live)]) {
    if (only === undefined || group.name.startsWith(only)) await measure(group, live, report)
  }
  await countRoundTrips(live, report)
  met = report.finish()
} finally {
  await Promise.all([plainReplica.end(), plainPrimary.end()])
  await live.stop()
}
process.exitCode = met ? 0 : 1

function readGroups({ ff }: LiveApp): Group[] {
  const scoped = (keepToken: boolean): pg.Pool => ff.as({ reader, level: 'session', keepToken }).databases.main.pool
  return Object.entries(readTexts).flatMap(([name, text]) => {
    const requests =
      (poolOf: () => pg.Pool): Work =>
      async (index) => {
        const pool = poolOf()
        for (let n = index * statementsPerRequest; n < (index + 1) * statementsPerRequest; n += 1) {
          await pool.query(text(n), [1 + (n % rowCount)])
        }
      }
    const [beforeEach, once] = [scoped(false), scoped(true)]
    const contenders = {
      [plain]: requests(() => plainReplica),
      fourfold: requests(() => scoped(true)),
      'fourfold, token read before each statement': requests(() => beforeEach),
      'fourfold, routing alone': requests(() => once),
    }
    const goal = name === 'repeated reads' ? { goal: readGoal } : {}
    const group = { name, contenders, statements: statementsPerRequest, metric: 'cpu_us_per_statement' }
    return [
      { ...group, clients: 1, count: quick ? 20 : 200 },
      { ...group, clients: 64, count: quick ? 200 : 800, ...goal },
    ]
  })
}

function writeGroups({ ff }: LiveApp): Group[] {
  return Object.entries(writeTexts).flatMap(([name, text]) => {
    const through =
      (pool: pg.Pool): Work =>
      (index) =>
        pool.query(text(index), ['ada'])
    const contenders = {
      [plain]: through(plainPrimary),
      'fourfold, position without token': through(ff.as({ reader: null, level: 'session' }).databases.main.pool),
      fourfold: through(ff.as({ reader: 'user:writer', level: 'session' }).databases.main.pool),
    }
    const metric = 'cpu_us_per_statement'
    return [
      { name, contenders, clients: 1, count: quick ? 40 : 300, metric },
      { name, contenders, clients: 64, count: quick ? 200 : 2_000, metric },
    ]
  })
}

function transactionGroups({ ff }: LiveApp): Group[] {
  const name = 'transactions'
  const through =
    (pool: pg.Pool): Work =>
    () =>
      runTransaction(pool)
  const contenders = {
    [plain]: through(plainPrimary),
    'fourfold, position without token': through(ff.as({ reader: null, level: 'session' }).databases.main.pool),
    fourfold: through(ff.as({ reader: 'user:writer', level: 'session' }).databases.main.pool),
  }
  const metric = 'cpu_us_per_transaction'
  return [
    { name, contenders, clients: 1, count: quick ? 40 : 300, metric },
    { name, contenders, clients: 64, count: quick ? 200 : 1_000, metric },
  ]
}

/** Answers how many times the server was asked and had answered. */
async function runTransaction(pool: pg.Pool, watch = false): Promise<number> {
  const client = await pool.connect()
  let answers = 0
  const { connection } = client as unknown as { connection: NodeJS.EventEmitter }
  const count = (): void => void (answers += 1)
  if (watch) connection.on('readyForQuery', count)
  try {
    await client.query('begin')
    await client.query(`insert into notes (author, text) values ($1, 'x')`, ['ada'])
    await client.query('commit')
    return answers
  } finally {
    connection.off('readyForQuery', count)
    client.release()
  }
}

async function countRoundTrips({ ff }: LiveApp, into: Report): Promise<void> {
  const metric = 'transactions round_trips'
  const expected = await runTransaction(plainPrimary, true)
  into.add({ contender: plain, metric, unit: 'round trips', values: [expected] })
  const ours = await runTransaction(ff.as({ reader: 'user:writer', level: 'session' }).databases.main.pool, true)
  into.add({ contender: 'fourfold', metric, unit: 'round trips', values: [ours], goal: { atMost: expected } })
}

async function measure(group: Group, { ff }: LiveApp, into: Report): Promise<void> {
  const { name, contenders, clients, count, metric, goal, statements = 1 } = group
  const counts = ff.clusters['main']?.counts
  const before = { ...counts }
  const pieces = await measureInterleaved(contenders, { clients, count, rounds })
  const measured = new Map([...pieces].map(([name, values]) => [name, values.map((value) => value / statements)]))
  const where = `${name}, ${clients} ${clients === 1 ? 'client' : 'clients'}`
  const base = measured.get(plain) ?? []
  for (const [contender, values] of measured) into.add({ contender, metric: `${where}: ${metric}`, unit: 'µs', values })
  for (const [contender, values] of measured) {
    if (contender === plain) continue
    const overhead = values.map((value, round) => value / (base[round] ?? Number.NaN) - 1)
    const aim = goal !== undefined && contender === 'fourfold' ? { goal: { atMost: goal } } : {}
    into.add({ contender, metric: `${where}: overhead`, unit: 'fraction', values: overhead, ...aim })
  }
  if (!name.includes('reads')) return
  const [replica, primary] = [
    (counts?.replicaReads ?? 0) - (before.replicaReads ?? 0),
    (counts?.primaryReads ?? 0) - (before.primaryReads ?? 0),
  ]
  into.add({
    contender: 'fourfold',
    metric: `${where}: share of reads on the replica`,
    unit: 'fraction',
    values: [replica / (replica + primary)],
    goal: { atLeast: 0.999 },
  })
}

/** Gives the reader a live token, and waits until the replica has replayed it. */
async function writeOnce({ ff }: LiveApp): Promise<void> {
  const { pool } = ff.as({ reader, level: 'session' }).databases.main
  await pool.query(`insert into notes (author, text) values ('reader', 'x')`)
  const deadline = performance.now() + 10_000
  while ((ff.clusters['main']?.counts.replicaReads ?? 0) === 0) {
    if (performance.now() > deadline) throw new Error('the replica did not catch up within 10 s')
    await pool.query('select count(*) from notes')
  }
}
