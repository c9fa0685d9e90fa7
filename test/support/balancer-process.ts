/** Starts and measures a balancer in a process of its own. */

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { BalancerProcessSettings, Measured } from '../integration/fixtures/balancer-process.ts'

export interface BalancerProcess {
  readonly port: number
  readonly child: ChildProcess
  /** Whether it has not ended by itself. */
  alive(): boolean
  measure(): Promise<Measured>
  stop(): Promise<void>
}

export async function startBalancerProcess(settings: BalancerProcessSettings): Promise<BalancerProcess> {
  const child = fork(
    new URL('../integration/fixtures/balancer-process.ts', import.meta.url),
    [JSON.stringify(settings)],
    {
      execArgv: ['-C', 'fourfold:source', '--expose-gc'],
    },
  )
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return {
    port,
    child,
    alive: () => child.exitCode === null && child.signalCode === null,
    measure: async () => {
      child.send('measure')
      const [measured] = (await once(child, 'message')) as [Measured]
      return measured
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}
