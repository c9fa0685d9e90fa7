/** What happens to the system while its pages are read. Parts come back by themselves. */

import { signalTree } from '../sessions/processes.ts'
import { pick } from '../sessions/traffic.ts'
import { pause } from './traffic.ts'

import type { System } from '../sessions/system.ts'

export interface PageFault {
  readonly name: string
  run(system: System): Promise<void>
}

const stoppedMs = 1_500

export const pageFaults: readonly PageFault[] = (['worker', 'tracker', 'clone', 'balancer'] as const).flatMap(
  (kind) => [
    {
      name: `SIGKILL to a ${kind}`,
      run: async (system) => {
        const pid = pick(system.processes(kind))
        if (pid !== undefined) signalTree(pid, 'SIGKILL')
      },
    },
    {
      name: `SIGSTOP to a ${kind}`,
      run: async (system) => {
        const pid = pick(system.processes(kind))
        if (pid === undefined) return
        signalTree(pid, 'SIGSTOP')
        await pause(stoppedMs)
        signalTree(pid, 'SIGCONT')
      },
    },
  ],
)
