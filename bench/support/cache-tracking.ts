/**
 * What following the changes of a database costs a process whose statements are not cached: two processes of the same
 * app send the same statements through the routed pool in turn, one that follows the change stream and one that does not.
 *
 * Reads alone, and with one write in twenty statements of a table that is followed. By the statement and not by the
 * second: how many statements a second has is a matter of the machine. What 200 commits a second cost a process that does
 * nothing else stands beside it.
 */

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'

import { untilKept, type Thing } from './cache-clones.ts'
import { openClone, untilCalm, type CacheGround, type CacheServers } from './cache-ground.ts'
import { measureCpu, type Work } from './cpu.ts'

import type { Report } from './report.ts'

const busy: Thing = {
  name: 'busy',
  load: async (pool, key) => (await pool.query('select id, at from busy where id = $1', [key])).rows[0] ?? null,
}
const clients = 16
const statementsPerWrite = 20
const changesPerSecond = 200
const readSql = 'select id, author, title, text from notes where id = $1'
const writeSql = 'update busy set at = at + 1 where id = $1'

interface Orders {
  readonly servers: CacheServers
  readonly followed: boolean
}

/** What a process is asked to spend its CPU on: so many statements, or so many ms of nothing. */
interface Ask {
  readonly what: 'reads' | 'reads and writes' | 'nothing'
  readonly count: number
}

/** The process: answers each {@link Ask} with the microseconds of CPU per statement, or per ms. */
async function runReader({ servers, followed }: Orders): Promise<void> {
  const ff = await openClone(servers, { followed })
  const { pool } = ff.as({ reader: 'user:bench', level: 'session', keepToken: true }).databases.main
  if (followed) await untilKept(ff, busy, 1)
  const read: Work = (n) => pool.query(readSql, [1 + (n % 1_000)])
  const either: Work = (n) =>
    n % statementsPerWrite === 0 ? pool.query(writeSql, [1 + ((n / statementsPerWrite) % 1_000)]) : read(n)
  await untilCalm()
  let index = 0
  const answer = async ({ what, count }: Ask): Promise<void> => {
    const idle = (): Promise<number> => measureCpu(() => pause(count), 1, 1, 0)
    const work = what === 'reads' ? read : either
    const cost = what === 'nothing' ? (await idle()) / count : await measureCpu(work, clients, count, index)
    index += count
    process.send?.(cost)
  }
  process.on('message', (ask: Ask) => void answer(ask))
  process.on('disconnect', () => void ff.close().finally(() => process.exit(0)))
  process.send?.('ready')
}

async function startReader(servers: CacheServers, followed: boolean): Promise<ChildProcess> {
  const orders: Orders = { servers, followed }
  const child = fork(import.meta.filename, ['--reader', JSON.stringify(orders)], { execArgv: process.execArgv })
  await answerOf(child)
  return child
}

async function answerOf(child: ChildProcess): Promise<unknown> {
  const [answer] = await once(child, 'message', { signal: AbortSignal.timeout(60_000) })
  return answer
}

export async function measureTracking(ground: CacheGround, report: Report, quick: boolean): Promise<void> {
  const children: ChildProcess[] = []
  try {
    children.push(await startReader(ground.servers, true), await startReader(ground.servers, false))
    const [count, rounds] = quick ? [1_000, 7] : [2_000, 25]
    for (const what of ['reads', 'reads and writes'] as const) {
      const { on, off } = await compare(children, { what, count }, rounds)
      const metric = what === 'reads' ? 'uncached reads' : 'uncached statements, 1 write in 20'
      report.add({ contender: 'fourfold', metric, unit: 'µs CPU', values: on })
      report.add({ contender: `fourfold, changeStream: 'off'`, metric, unit: 'µs CPU', values: off })
      const overhead = on.map((value, round) => value / (off[round] ?? Number.NaN) - 1)
      const name = what === 'reads' ? 'tracking_overhead' : 'tracking_overhead, 1 write in 20'
      report.add({ contender: 'fourfold', metric: name, unit: 'fraction', values: overhead, goal: { atMost: 0.05 } })
    }
    const changes = startChanges(ground)
    try {
      const { on, off } = await compare(children, { what: 'nothing', count: quick ? 1_000 : 2_000 }, quick ? 2 : 5)
      const metric = `CPU while ${changesPerSecond} commits a second are followed`
      const share = (values: readonly number[]): number[] => values.map((perMs) => perMs / 1_000)
      report.add({ contender: 'fourfold', metric, unit: 'cores', values: share(on) })
      report.add({ contender: `fourfold, changeStream: 'off'`, metric, unit: 'cores', values: share(off) })
    } finally {
      await changes.stop()
    }
  } finally {
    await Promise.all(children.map(end))
  }
}

/** Each begins in turn; the first round warms up. */
async function compare(
  [followed, unfollowed]: readonly ChildProcess[],
  question: Ask,
  rounds: number,
): Promise<{ readonly on: readonly number[]; readonly off: readonly number[] }> {
  const ask = async (child: ChildProcess | undefined): Promise<number> => {
    child?.send(question)
    return (await answerOf(child!)) as number
  }
  const on: number[] = []
  const off: number[] = []
  for (let round = -1; round < rounds; round += 1) {
    const onFirst = round % 2 === 0
    const first = await ask(onFirst ? followed : unfollowed)
    const second = await ask(onFirst ? unfollowed : followed)
    if (round < 0) continue
    on.push(onFirst ? first : second)
    off.push(onFirst ? second : first)
  }
  return { on, off }
}

/** One row after the other, from within the server. */
function startChanges({ pool }: CacheGround): { stop(): Promise<void> } {
  const state = { stopped: false }
  const change = async (): Promise<void> => {
    while (!state.stopped) {
      await pool.query(`do $$ begin for n in 1 .. ${changesPerSecond / 10} loop
        update busy set at = at + 1 where id = n; commit; perform pg_sleep(${1 / changesPerSecond}); end loop; end $$`)
    }
  }
  const changing = change()
  changing.catch(() => undefined)
  return {
    stop: async () => {
      state.stopped = true
      await changing
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.disconnect()
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await gone
  clearTimeout(timer)
}

if (process.argv[2] === '--reader') await runReader(JSON.parse(process.argv[3] ?? ''))
