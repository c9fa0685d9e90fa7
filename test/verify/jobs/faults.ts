/** What happens to the system while jobs are done. Parts come back by themselves. */

import { setTimeout as pause } from 'node:timers/promises'

import { childProcesses, processTitle, signalProcess, signalTree } from '../sessions/processes.ts'
import { pick } from '../sessions/traffic.ts'

import type { System } from '../sessions/system.ts'

export interface JobFault {
  readonly name: string
  run(system: System): Promise<void>
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
  { name: 'SIGKILL to a worker', run: async (system) => kill(pick(system.processes('worker'))) },
  {
    name: 'SIGSTOP to a worker for longer than its lease',
    run: async (system) => stopFor(pick(system.processes('worker')), stoppedMs),
  },
  { name: 'SIGKILL to a clone', run: async (system) => kill(pick(system.processes('clone'))) },
  {
    name: 'SIGKILL to two workers at once',
    run: async (system) => system.processes('worker').slice(0, 2).forEach(kill),
  },
  { name: 'SIGKILL to the store', run: async (system) => kill(pick(system.processes('store'))) },
  {
    name: 'SIGSTOP to two workers for longer than their lease',
    run: async (system) => {
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
    run: async (system) => {
      const [primary] = databaseProcesses(system)
      const backend = primary === undefined ? undefined : pick(backendsOf(primary))
      if (backend !== undefined) signalProcess(backend, 'SIGKILL')
    },
  },
]

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
