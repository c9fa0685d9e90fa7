/**
 * Follows what processes tell each other in a stream of the store, from now on. Hints: whoever needs one that
 * was missed finds out in another way.
 */

import { setTimeout as pause } from 'node:timers/promises'

import type { Logger } from '../core/log.ts'
import type { Store } from './store.ts'

export interface ToldStream<T> {
  readonly store: Store
  /** The stream's name. */
  readonly stream: string
  readonly log: Logger
  /** Null for what another version wrote. */
  readonly decode: (bytes: Uint8Array) => T | null
  /** Called with what was told, in order. */
  readonly hear: (told: readonly T[]) => void
  /** Some were missed. */
  readonly missed?: () => void
}

const waitMs = 5_000
const retryMs = 200

/** Answers what stops it. */
export function followTold<T>({ store, stream, log, decode, hear, missed }: ToldStream<T>): () => Promise<void> {
  const end = new AbortController()
  const follow = async (): Promise<void> => {
    let after: number | null = null
    while (!end.signal.aborted) {
      try {
        // 0 would ask for the oldest that is kept.
        after ??= (await store.readStream(stream, 0, { limit: 0 })).last
        const page = await store.readStream(stream, after, { limit: 500, waitMs })
        if (end.signal.aborted) return
        if (page.gap || page.last < after) missed?.()
        if (page.entries.length > 0) hear(page.entries.map(({ value }) => decode(value)).filter((one) => one !== null))
        after = page.entries.at(-1)?.number ?? Math.min(after, page.last)
      } catch (error) {
        if (end.signal.aborted) return
        log.debug({ error, stream }, 'a stream was not read: trying again')
        await pause(retryMs)
      }
    }
  }
  const running = follow()
  return async () => {
    end.abort()
    // A read that waits ends with the store's client, or after its time.
    await Promise.race([running, pause(retryMs)])
  }
}
