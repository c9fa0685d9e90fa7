/** A tracker on a real cluster and a real store, and a follower of what it publishes. */

import { silentLogger } from '../../src/core/log.ts'
import type { Store } from '../../src/store/store.ts'
import { decodeMessage, type ChangeMessage } from '../../src/freshness/changes/message.ts'
import { changeStream } from '../../src/freshness/tracker/publisher.ts'
import { startTracker, type Tracker, type TrackerOptions } from '../../src/freshness/tracker/tracker.ts'
import { endAfter, until, type Cleanup } from './postgres.ts'
import { startStoreProcess } from './store-process.ts'

export async function connectTestStore(t: Cleanup): Promise<Store> {
  const server = await startStoreProcess()
  const store = await server.connect({ deadlineMs: 1000 })
  endAfter(t, async () => {
    await store.close()
    await server.stop()
  })
  return store
}

export function startTestTracker(
  t: Cleanup,
  options: Omit<TrackerOptions, 'log'> & Partial<Pick<TrackerOptions, 'log'>>,
): Tracker {
  const tracker = startTracker({ log: silentLogger, ...options })
  endAfter(t, () => tracker.stop())
  return tracker
}

export async function untilStreaming(tracker: Tracker): Promise<void> {
  await until('the tracker to stream', async () => {
    const status = tracker.status()
    if (status.state !== 'streaming') throw new Error(JSON.stringify(status))
    return true
  })
}

/** Reads all messages of a database's stream, from the first one on. */
export class MessageReader {
  readonly database: string
  readonly #store: Store
  #after = 0
  readonly all: ChangeMessage[] = []

  constructor(store: Store, database: string) {
    this.#store = store
    this.database = database
  }

  async read(): Promise<readonly ChangeMessage[]> {
    const { entries } = await this.#store.readStream(changeStream(this.database), this.#after)
    for (const { number, value } of entries) {
      const message = decodeMessage(value)
      if (message === null || !('epoch' in message)) throw new Error('a message that cannot be read')
      this.all.push(message)
      this.#after = number
    }
    return this.all
  }

  /** Waits until the messages fulfil something. */
  async until<T>(
    what: string,
    check: (messages: readonly ChangeMessage[]) => T,
    deadlineMs?: number,
  ): Promise<NonNullable<T>> {
    return await until(what, async () => check(await this.read()), deadlineMs)
  }
}
