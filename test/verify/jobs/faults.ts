/** What happens to the system while jobs are done. Parts come back by themselves. */

import { setTimeout as pause } from 'node:timers/promises'

import { childProcesses, processTitle, signalProcess, signalTree } from '../sessions/processes.ts'
import { pick } from '../sessions/traffic.ts'
import { waitFor } from '../../support/wait-for.ts'

import type pg from 'pg'
import type { System } from '../sessions/system.ts'

export interface JobFault {
  readonly name: string
  run(ground: FaultGround): Promise<void>
}

export interface FaultGround {
  readonly system: System
  /** Where the jobs are; does not answer while it starts again. */
  readonly database: pg.Pool
  /** One job of so many takes long. */
  readonly longOnes: number
}

/** Longer than a worker's lease. */
const stoppedMs = 2_500

async function stopFor(pid: number | undefined, ms: number): Promise<void> {
  if (pid === undefined) return
  signalTree(pid, 'SIGSTOP')
  await pause(ms)
  signalTree(pid, 'SIGCONT')
}

export const jobFaults: readonly JobFault[] = [
  { name: 'SIGKILL to a worker', run: async ({ system }) => kill(pick(system.processes('worker'))) },
  {
    name: 'SIGSTOP to a worker for longer than its lease',
    run: async ({ system }) => stopFor(pick(system.processes('worker')), stoppedMs),
  },
  {
    name: 'SIGSTOP to a worker until another one runs a job that it runs',
    run: async (ground) => {
      const stopped = await waitFor('a job that takes long', () => stopWhoRunsALongOne(ground), 10_000)
      try {
        await waitFor('another worker to run it', () => isRunByAnother(stopped, ground), 10_000)
      } finally {
        signalTree(stopped.pid, 'SIGCONT')
      }
    },
  },
  { name: 'SIGKILL to a clone', run: async ({ system }) => kill(pick(system.processes('clone'))) },
  {
    name: 'SIGKILL to two workers at once',
    run: async ({ system }) => system.processes('worker').slice(0, 2).forEach(kill),
  },
  { name: 'SIGKILL to the store', run: async ({ system }) => kill(pick(system.processes('store'))) },
  {
    name: 'SIGSTOP to two workers for longer than their lease',
    run: async ({ system }) => {
      await Promise.all(
        system
          .processes('worker')
          .slice(0, 2)
          .map((pid) => stopFor(pid, stoppedMs)),
      )
    },
  },
  {
    name: 'SIGKILL to a backend of the primary, which restarts the database',
    run: async ({ system }) => {
      const [primary] = databaseProcesses(system)
      const backend = primary === undefined ? undefined : pick(backendsOf(primary))
      if (backend !== undefined) signalProcess(backend, 'SIGKILL')
    },
  },
]

interface Stopped {
  readonly pid: number
  readonly id: string
  readonly token: number
}

const runningSql = `select j.id, j.token, split_part(w.name, ' ', 2)::int as pid
  from fourfold.jobs j join fourfold.job_workers w on w.id = j.worker where j.state = 'running'`

/** Null: none was caught in the middle of one. */
async function stopWhoRunsALongOne({ system, database, longOnes }: FaultGround): Promise<Stopped | null> {
  const isLong = `(j.input->>'n')::int % $1 = 0 and j.attempt = 1 and j.begun_at > now() - interval '200 ms'`
  // Not only taken.
  const isBegun = `exists (select from runs r where r.n = (j.input->>'n')::int and r.token = j.token)`
  const { rows } = await database.query<Stopped>(`${runningSql} and ${isLong} and ${isBegun} limit 1`, [longOnes])
  const [found] = rows
  if (found === undefined || !system.processes('worker').includes(found.pid)) return null
  signalTree(found.pid, 'SIGSTOP')
  const { rowCount } = await database.query(`${runningSql} and j.id = $1 and j.token = $2`, [found.id, found.token])
  if (rowCount === 1) return found
  signalTree(found.pid, 'SIGCONT')
  return null
}

async function isRunByAnother({ id, token }: Stopped, { database }: FaultGround): Promise<boolean> {
  const { rowCount } = await database.query(`${runningSql} and j.id = $1 and j.token > $2`, [id, token])
  return rowCount === 1
}

function kill(pid: number | undefined): void {
  if (pid !== undefined) signalTree(pid, 'SIGKILL')
}

function databaseProcesses(system: System): number[] {
  return childProcesses(system.supervisor)
    .map(({ pid }) => pid)
    .filter((pid) => /servers\/primary /.test(processTitle(pid)))
}

/** Those that serve somebody. */
function backendsOf(server: number): number[] {
  return childProcesses(server)
    .map(({ pid }) => pid)
    .filter((pid) => /postgres: \S+ app/.test(processTitle(pid)))
}
