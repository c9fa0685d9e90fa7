/** What happens to the system while it is used. Each fault ends when its cause is gone; parts come back by themselves. */

import { childProcesses, processTitle, signalProcess, signalTree } from './processes.ts'
import { waitFor } from '../../support/wait-for.ts'
import { pick } from './traffic.ts'

import type { SystemHandle } from './system-handle.ts'

export interface Fault {
  readonly name: string
  run(system: SystemHandle, stoppedMs: number): Promise<void>
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const anyIndex = (): 0 | 1 => (Math.random() < 0.5 ? 0 : 1)

export const faults: readonly Fault[] = [
  {
    name: 'SIGKILL to a backend of the primary',
    async run(system) {
      const { primary } = await system.processes()
      const backends = childProcesses(primary).filter(({ pid }) => / fourfold app /.test(processTitle(pid)))
      signalProcess(pick(backends)?.pid ?? -1, 'SIGKILL')
    },
  },
  {
    name: 'SIGKILL to a replica',
    async run(system) {
      const { replicas } = await system.processes()
      signalTree(replicas[anyIndex()] ?? -1, 'SIGKILL')
    },
  },
  {
    name: 'SIGSTOP to a replica',
    async run(system, stoppedMs) {
      const { replicas } = await system.processes()
      const pid = replicas[anyIndex()] ?? -1
      signalTree(pid, 'SIGSTOP')
      await pause(stoppedMs)
      signalTree(pid, 'SIGCONT')
    },
  },
  {
    name: 'replay of a replica held back',
    async run(system, stoppedMs) {
      const index = anyIndex()
      await system.delayReplica(index, stoppedMs * 2)
      await pause(stoppedMs * 2)
      await system.delayReplica(index, index === 0 ? usualDelayMs : 0)
    },
  },
  {
    name: 'SIGKILL to a clone',
    async run(system) {
      signalProcess(pick(system.clones)?.pid ?? -1, 'SIGKILL')
    },
  },
  {
    name: 'SIGSTOP to a clone',
    async run(system, stoppedMs) {
      const pid = pick(system.clones)?.pid ?? -1
      signalProcess(pid, 'SIGSTOP')
      await pause(stoppedMs)
      signalProcess(pid, 'SIGCONT')
    },
  },
  {
    name: 'SIGKILL to the store',
    async run(system) {
      const { store } = await system.processes()
      signalProcess(store, 'SIGKILL')
      await waitFor('another store', async () => (await system.processes()).store !== store, 10_000)
    },
  },
  {
    name: 'SIGSTOP to the store',
    async run(system, stoppedMs) {
      const { store } = await system.processes()
      signalProcess(store, 'SIGSTOP')
      await pause(stoppedMs)
      signalProcess(store, 'SIGCONT')
    },
  },
  {
    name: 'SIGKILL to the supervisor',
    async run(system) {
      await system.kill()
      await system.start()
      await system.delayReplica(0, usualDelayMs)
    },
  },
]

/** The first replica is always a little behind, so that it is often too old for a reader who just wrote. */
export const usualDelayMs = 40
