/** One contender's worker, in a process that may be killed. Does what it is told, and tells when handlers begin. */

import { queues } from './jobs-contenders.ts'
import { serveOrders } from './jobs-fourfold.ts'
import { nowMs, type JobPlaces, type Worker } from './jobs-queue.ts'

export interface HostStart {
  readonly contender: string
  readonly places: JobPlaces
  readonly concurrency: number
  readonly soon?: boolean
  /** `count`: tells when so many were handled; `tell`: of each; `hold`: of each, and never ends. */
  readonly mode: 'count' | 'tell' | 'hold'
  readonly expected?: number
}

export type HostOrder =
  | { readonly order: 'start'; readonly start: HostStart }
  | { readonly order: 'serve'; readonly places: JobPlaces }
  | { readonly order: 'stop' }

export type HostNews =
  | { readonly news: 'started' | 'stopped' }
  | { readonly news: 'serving'; readonly port: number }
  | { readonly news: 'handled'; readonly firstMs: number }
  | { readonly news: 'begun'; readonly n: number; readonly atMs: number }
  | { readonly news: 'failed'; readonly message: string }

let working: Worker | null = null
const forever = new Promise<never>(() => undefined)
const tell = (news: HostNews): void => void process.send?.(news)

function handlerOf({ mode, expected = Infinity }: HostStart): (n: number) => Promise<void> {
  let count = 0
  let firstMs = 0
  return async (n) => {
    if (mode !== 'count') {
      tell({ news: 'begun', n, atMs: nowMs() })
      return mode === 'hold' ? await forever : undefined
    }
    if (count === 0) firstMs = nowMs()
    count += 1
    if (count === expected) tell({ news: 'handled', firstMs })
  }
}

async function follow(message: HostOrder): Promise<void> {
  if (message.order === 'start') {
    const { start } = message
    const { contender, places, concurrency, soon = false } = start
    working = await queues[contender]!.work(places, { concurrency, soon, handle: handlerOf(start) })
    return tell({ news: 'started' })
  }
  if (message.order === 'serve') {
    const server = await serveOrders(message.places)
    working = server
    return tell({ news: 'serving', port: server.port })
  }
  await working?.stop()
  working = null
  tell({ news: 'stopped' })
}

process.on('message', (message) => {
  follow(message as HostOrder).catch((error: unknown) => tell({ news: 'failed', message: String(error) }))
})
// Whoever started it is gone.
process.on('disconnect', () => process.exit(0))
