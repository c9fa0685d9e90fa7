/** A job in this worker's hands. */

import type { Claim } from '../engine.ts'

export interface Held {
  readonly claim: Claim
  /** Under whose name it was taken: a worker that has lost its lease goes on under another. */
  readonly worker: string
  readonly takenAtMs: number
  readonly controller: AbortController
  /** `ready`: not begun; `running`; `ending`: its end is being recorded. */
  state: 'ready' | 'running' | 'ending'
}
