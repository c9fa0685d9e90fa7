/** A store whose operations can be made to fail, and which writes down what it was asked. */

import { FourfoldError } from '../../src/core/errors.ts'
import type { RecordUpdate, Store } from '../../src/store/store.ts'

export type FaultyStore = Store & {
  readonly calls: string[]
  /** Of each record that was made or changed with one. */
  readonly timesToLive: number[]
  fail(...operations: (keyof Store)[]): void
  heal(): void
}

export function plantFaults(store: Store): FaultyStore {
  const failing = new Set<string>()
  const own = {
    calls: [] as string[],
    timesToLive: [] as number[],
    fail: (...operations: string[]) => operations.forEach((operation) => failing.add(operation)),
    heal: () => failing.clear(),
  }
  return new Proxy(own as unknown as FaultyStore, {
    get(target, name) {
      if (name in target) return Reflect.get(target, name) as unknown
      const member = Reflect.get(store, name) as unknown
      if (typeof member !== 'function') return member
      return (...values: unknown[]): unknown => {
        own.calls.push(String(name))
        const ttlMs = (values.at(-1) as RecordUpdate | undefined)?.ttlMs
        if (ttlMs !== undefined) own.timesToLive.push(ttlMs)
        if (failing.has(String(name))) return Promise.reject(new FourfoldError('FF_STORE_DEADLINE', 'planted'))
        return (member as (...values: unknown[]) => unknown).apply(store, values)
      }
    },
  })
}
