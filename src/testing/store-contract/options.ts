/** What the stores' contract is told of a driver and its server. */

import type { Store } from '../../store/store.ts'

/** A real server that the contract may restart and pause. */
export interface StoreServerUnderTest {
  connect(options: { readonly deadlineMs: number }): Promise<Store>
  /** Kills the server as by SIGKILL and starts it again at the same address. */
  restart(): Promise<void>
  /** Stops its process without ending it, as by SIGSTOP. */
  pause(): void
  resume(): void
  stop(): Promise<void>
}

export interface StoreContractOptions {
  readonly name: string
  readonly start: () => Promise<StoreServerUnderTest>
  /** Whether what was acknowledged is still there after `restart`. If not, the incarnation must change. */
  readonly survivesRestart: boolean
  /** Whether the incarnation is still the same then: not where the server cannot know that nothing was lost. Default: as `survivesRestart`. */
  readonly keepsIncarnation?: boolean
  /** How soon a read that waits hears of an append where nothing else is to be done. Default: 50. */
  readonly wakesWithinMs?: number
  /** Why the suite cannot run here. */
  readonly skip?: string | false
}
