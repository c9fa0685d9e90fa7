/** How operations reach a state machine: over a socket, or in the same process. */

import { closedError } from '../link.ts'
import type { Operation } from './operations.ts'
import { StoreState } from './state.ts'

export interface Transport {
  /** Resolves with the operation's value, once it is safe. */
  execute(operation: Operation): Promise<unknown>
  /** At once while it is connected. */
  incarnation(): string | Promise<string>
  close(): Promise<void>
}

/** Operations on a state machine of this process, with no log: for tests and scripts. */
export function createLocalTransport(incarnation: string): Transport {
  const state = new StoreState({ emit: () => undefined })
  const sweeping = setInterval(() => state.sweep(2000), 100)
  sweeping.unref()
  let closed = false
  return {
    execute: async (operation) => {
      if (closed) throw closedError()
      return state.execute(operation)
    },
    incarnation: () => (closed ? Promise.reject(closedError()) : incarnation),
    close: async () => {
      closed = true
      clearInterval(sweeping)
    },
  }
}
