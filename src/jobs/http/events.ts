/**
 * How a job stands, as Server-Sent Events: the newest state whenever there is one, with the job's version as the event's id,
 * and `done` at the end, whatever that was. Any clone goes on where another has stopped: a browser comes back with the
 * last id that it has seen.
 */

import { isOver } from '../status.ts'
import { representationOf } from './representation.ts'

import type { Jobs } from '../jobs.ts'

export interface EventsOptions {
  readonly id: string
  /** The version that the reader has seen. */
  readonly after: number
  /** This process ends: readers come back to another. */
  readonly ending: AbortSignal
}

/** Proxies cut connections on which nothing is sent. */
const beatMs = 10_000
const retryMs = 1_000
/** Events that a reader has not taken yet. */
const maxWaiting = 16

export function eventStream(jobs: Jobs, { id, after, ending }: EventsOptions): ReadableStream<Uint8Array> {
  const gone = new AbortController()
  const signal = AbortSignal.any([gone.signal, ending])
  const encoder = new TextEncoder()
  let beat: NodeJS.Timeout | undefined
  return new ReadableStream<Uint8Array>(
    {
      start: (controller) => {
        const send = (text: string): void => {
          controller.enqueue(encoder.encode(text))
        }
        // A reader that takes nothing is told no more than it must be.
        const isSlow = (): boolean => (controller.desiredSize ?? 0) <= 0
        send(`retry: ${retryMs}\n\n`)
        beat = setInterval(() => isSlow() || send(': still here\n\n'), beatMs)
        tell(jobs, { id, after, signal }, (text, isLast) => void (isLast || !isSlow() ? send(text) : null))
          .catch(() => undefined)
          .finally(() => {
            clearInterval(beat)
            // It may be closed already: its reader has gone.
            if (!gone.signal.aborted) controller.close()
          })
      },
      cancel: () => {
        clearInterval(beat)
        gone.abort()
      },
    },
    { highWaterMark: maxWaiting },
  )
}

async function tell(
  jobs: Jobs,
  { id, after, signal }: { readonly id: string; readonly after: number; readonly signal: AbortSignal },
  send: (text: string, isLast: boolean) => void,
): Promise<void> {
  for await (const status of jobs.follow(id, { signal, after })) {
    if (status === null) return
    const isLast = isOver(status.record)
    const data = JSON.stringify(representationOf(status))
    send(`id: ${status.version}\nevent: ${isLast ? 'done' : 'progress'}\ndata: ${data}\n\n`, isLast)
  }
}
