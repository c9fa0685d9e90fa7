/** How operations reach a state machine: over a socket, or in the same process. */

import { closedError } from '../link.ts'
import { isVolatile, type Operation } from './operations.ts'
import { ParkedReads, type FollowOperation } from './parked.ts'
import { StoreState } from './state.ts'
import type { StreamAnswer } from './streams.ts'
import { VolatileValues } from './volatile.ts'

export interface Transport {
  /** Resolves with the operation's value, once it is safe. `followStream` is the only one that waits for anything else. */
  execute(operation: Operation): Promise<unknown>
  /** At once while it is connected. */
  incarnation(): string | Promise<string>
  close(): Promise<void>
}

/** Operations on a state machine of this process, with no log: for tests and scripts. */
export function createLocalTransport(incarnation: string): Transport {
  const state = new StoreState({ emit: (effect) => parked.wake([effect]) })
  const parked = new ParkedReads<null>((operation) => state.execute(operation) as StreamAnswer)
  const values = new VolatileValues()
  const waiting = new Set<PromiseWithResolvers<StreamAnswer>>()
  const sweeping = setInterval(() => {
    state.sweep(2000)
    parked.lookAtAll()
  }, 100)
  sweeping.unref()
  let closed = false
  const follow = (operation: FollowOperation): Promise<StreamAnswer> => {
    const answer = Promise.withResolvers<StreamAnswer>()
    waiting.add(answer)
    parked.ask(null, operation, answer.resolve)
    return answer.promise.finally(() => waiting.delete(answer))
  }
  return {
    execute: async (operation) => {
      if (closed) throw closedError()
      values.beginAnswer()
      if (isVolatile(operation)) return values.execute(operation)
      return operation[0] === 'followStream' ? follow(operation) : state.execute(operation)
    },
    incarnation: () => (closed ? Promise.reject(closedError()) : incarnation),
    close: async () => {
      closed = true
      clearInterval(sweeping)
      parked.forget(null)
      for (const answer of waiting) answer.reject(closedError())
    },
  }
}
