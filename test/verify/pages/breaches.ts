/** Breaches that are planted into the sources of the system, each of which the harness must catch. */

import { plantedEnv } from '../consistency/breaches.ts'
import { signalTree } from '../sessions/processes.ts'
import { pause } from './traffic.ts'

import type { Plant } from '../../support/plant.ts'
import type { System } from '../sessions/system.ts'

export interface PageBreach {
  readonly id: string
  readonly name: string
  readonly plants: readonly Plant[]
  /** Done again and again until it is caught. */
  readonly meanwhile?: (system: System) => Promise<void>
}

const front = 'src/pages/front/page-front.ts'

export const pageBreaches: readonly PageBreach[] = [
  {
    id: 'nobody',
    name: 'the balancer takes readers with cookies for nobody',
    plants: [
      {
        file: front,
        find: 'if (request.cookie !== undefined || request.reader !== undefined)',
        put: 'if (request.cookie === "none")',
      },
    ],
    meanwhile: stopTracker,
  },
  {
    id: 'verdict',
    name: 'the balancer answers whatever the comparison says',
    plants: [
      {
        file: front,
        find: "return verdict === 'fresh' && this.#pages === pages ?",
        put: 'return this.#pages === pages ?',
      },
    ],
    meanwhile: stopTracker,
  },
]

/** Shorter than answers may be old: who has written must be sent to a clone meanwhile. */
async function stopTracker(system: System): Promise<void> {
  const [pid] = system.processes('tracker')
  if (pid === undefined) return
  signalTree(pid, 'SIGSTOP')
  await pause(1_000)
  signalTree(pid, 'SIGCONT')
}

export function plantedPagesEnv({ plants }: PageBreach): Record<string, string> {
  return plantedEnv({ plants })
}
