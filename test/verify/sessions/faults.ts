/** What happens to the system while it is used. Each fault ends when its cause is gone; parts come back by themselves. */

import { childProcesses, processTitle, signalProcess, signalTree } from './processes.ts'
import { waitFor } from '../../support/wait-for.ts'
import { pick } from './traffic.ts'

import type { Level } from '../../../src/freshness/level.ts'
import type { DatabaseName } from './history.ts'
import type { ServerName, Servers } from './servers.ts'
import type { System } from './system.ts'

export interface Scene {
  readonly system: System
  readonly servers: Readonly<Record<DatabaseName, Servers>>
  /** How long something stopped stays so. */
  readonly stoppedMs: number
  /** Changes to the environment with which a killed system is started again. */
  readonly restartEnv: Readonly<Record<string, string>>
}

export interface Fault {
  readonly name: string
  /** At which levels it belongs to a quick run. */
  readonly quick: readonly Level[]
  /** `database`: whose servers are meant, where it is about servers. */
  run(scene: Scene, database: DatabaseName): Promise<void>
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const anyReplica = (): ServerName => (Math.random() < 0.5 ? 'replica-1' : 'replica-2')

export const faults: readonly Fault[] = [
  {
    name: 'SIGKILL to a backend of the primary',
    quick: ['session', 'eventual'],
    async run({ servers }, database) {
      // The server then ends all of them, to recover.
      const backends = backendsOf(servers[database].pid('primary'))
      signalProcess(pick(backends) ?? -1, 'SIGKILL')
      await untilGone(backends)
    },
  },
  {
    name: 'SIGKILL to a replica',
    quick: ['session'],
    async run({ servers }, database) {
      const pid = servers[database].pid(anyReplica())
      signalTree(pid, 'SIGKILL')
      await untilGone([pid])
    },
  },
  {
    name: 'SIGSTOP to a replica',
    quick: ['session'],
    async run({ servers, stoppedMs }, database) {
      const pid = servers[database].pid(anyReplica())
      signalTree(pid, 'SIGSTOP')
      // Longer than the clients of the harness wait, in a full run.
      await pause(stoppedMs * 2.5)
      signalTree(pid, 'SIGCONT')
    },
  },
  {
    name: 'replay of a replica held back',
    quick: ['session'],
    async run({ servers, stoppedMs }, database) {
      const replica = anyReplica()
      await servers[database].delay(replica, stoppedMs * 2)
      await pause(stoppedMs * 2)
      await servers[database].delay(replica, usualDelayMs[replica])
    },
  },
  {
    name: 'SIGKILL to a clone',
    quick: ['session'],
    run: ({ system }) => kill(pick(system.processes('clone'))),
  },
  {
    name: 'SIGSTOP to a clone',
    quick: ['session'],
    run: ({ system, stoppedMs }) => stopFor(pick(system.processes('clone')), stoppedMs),
  },
  {
    name: 'SIGKILL to the store',
    quick: ['session'],
    async run({ system }) {
      const [store] = system.processes('store')
      // The store may be the database, which has faults of its own.
      if (store === undefined) return
      signalProcess(store, 'SIGKILL')
      const another = (): boolean => system.processes('store').some((pid) => pid !== store)
      await waitFor('another store', another, 10_000)
    },
  },
  {
    name: 'SIGSTOP to the store',
    quick: ['session'],
    run: ({ system, stoppedMs }) => stopFor(system.processes('store')[0], stoppedMs),
  },
  {
    name: 'SIGKILL to the balancer',
    quick: ['monotonic'],
    run: ({ system }) => kill(system.processes('balancer')[0]),
  },
  {
    name: 'SIGSTOP to the supervisor',
    quick: ['session'],
    run: ({ system, stoppedMs }) => stopFor(system.supervisor, stoppedMs),
  },
  {
    name: 'SIGSTOP to a backend of the primary',
    quick: ['strict'],
    run: ({ servers, stoppedMs }, database) => stopFor(pick(backendsOf(servers[database].pid('primary'))), stoppedMs),
  },
  // The last one, as the system may then go on with another configuration.
  {
    name: 'SIGKILL to the supervisor',
    quick: ['session'],
    async run({ system, servers, restartEnv }) {
      await system.kill()
      await system.start(restartEnv)
      await delayAsUsual(servers)
    },
  },
]

/** The first replicas are always a little behind, so that they are often too old for a reader who just wrote. */
const usualDelayMs: Readonly<Record<ServerName, number>> = { primary: 0, 'replica-1': 40, 'replica-2': 0 }

/** To be done again after a start of the system, which forgets it for the servers that it starts itself. */
export async function delayAsUsual(servers: Scene['servers']): Promise<void> {
  await Promise.all(Object.values(servers).map((one) => one.delay('replica-1', usualDelayMs['replica-1'])))
}

/** The processes that serve connections of the app. */
function backendsOf(primary: number): number[] {
  const pids = childProcesses(primary).map(({ pid }) => pid)
  return pids.filter((pid) => / fourfold app /.test(processTitle(pid)))
}

async function kill(pid: number | undefined): Promise<void> {
  if (pid === undefined) return
  signalProcess(pid, 'SIGKILL')
  await untilGone([pid])
}

/** Before that, whoever looks may still find everything as it was. */
async function untilGone(pids: readonly number[]): Promise<void> {
  await waitFor('killed processes to be gone', () => pids.every((pid) => processTitle(pid) === ''), 10_000)
}

async function stopFor(pid: number | undefined, ms: number): Promise<void> {
  if (pid === undefined) return
  signalProcess(pid, 'SIGSTOP')
  await pause(ms)
  signalProcess(pid, 'SIGCONT')
}
