/** How a job stands, as it changes: the newest only. */

import { isOver } from './status.ts'

import type { JobRecord } from './engine.ts'
import type { JobWatch } from './watch.ts'

export interface FollowOptions {
  readonly signal: AbortSignal
  /** Not what is no newer than this version. Default: all. */
  readonly after?: number
}

/** Ends after what is final, when the signal is aborted, and when the app is closed. Null: there is no such job. */
export async function* followJob(
  watch: JobWatch,
  id: string,
  { signal, after = -1 }: FollowOptions,
): AsyncGenerator<JobRecord | null> {
  const over = AbortSignal.any([signal, watch.ended])
  let newest: { readonly record: JobRecord | null } | null = null
  let wake = Promise.withResolvers<void>()
  const stop = watch.follow(id, (record) => {
    newest = { record }
    wake.resolve()
  })
  const end = (): void => wake.resolve()
  over.addEventListener('abort', end, { once: true })
  let version = after
  try {
    while (!over.aborted) {
      await wake.promise
      wake = Promise.withResolvers()
      if (over.aborted) return
      const record = (newest as { readonly record: JobRecord | null } | null)?.record ?? null
      if (record === null) {
        yield null
        return
      }
      if (record.version > version) {
        version = record.version
        yield record
      }
      if (isOver(record)) return
    }
  } finally {
    over.removeEventListener('abort', end)
    stop()
  }
}
