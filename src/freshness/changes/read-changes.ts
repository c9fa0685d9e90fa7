/** Reads what a database's tracker publishes, from the oldest message that is kept, for as long as it is wanted. */

import { setTimeout as pause } from 'node:timers/promises'

import { changeStream } from '../tracker/publisher.ts'

import type { Logger } from '../../core/log.ts'
import type { Store } from '../../store/store.ts'

export interface ReadChangesOptions {
  /** The database's name in the app. */
  readonly database: string
  readonly store: Store
  readonly log: Logger
}

const waitMs = 5_000
const retryMs = 100

/** Hands each message to `take`, in order; a store that does not answer is asked again. */
export async function readChanges(
  { store, database, log }: ReadChangesOptions,
  take: (bytes: Uint8Array) => void,
  isStopped: () => boolean,
): Promise<void> {
  let after = 0
  while (!isStopped()) {
    try {
      const page = await store.readStream(changeStream(database), after, { limit: 200, waitMs })
      if (isStopped()) return
      for (const { number, value } of page.entries) {
        after = number
        take(value)
      }
      // A store that lost its memory counts anew.
      if (page.entries.length === 0 && after > page.last) after = 0
    } catch (error) {
      if (isStopped()) return
      log.debug({ error, database }, 'changes not read: trying again')
      await pause(retryMs)
    }
  }
}
