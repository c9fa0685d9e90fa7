/** Empties what was kept long enough, now and then, in every worker: whoever comes first does it. */

import type { Logger } from '../core/log.ts'
import type { JobEngine } from './engine.ts'

export interface RetentionOptions {
  readonly engine: JobEngine
  readonly ready: () => Promise<void>
  readonly keepMs: number
  readonly keepUpToBytes: number
  readonly failedForMs: number
  readonly log: Logger
}

const everyMs = 30_000

/** Answers what stops it. */
export function startRetention(options: RetentionOptions): () => Promise<void> {
  const { engine, ready, keepMs, keepUpToBytes, failedForMs, log } = options
  let running: Promise<void> | null = null
  const run = async (): Promise<void> => {
    try {
      await ready()
      await engine.rotate(keepMs, keepUpToBytes, failedForMs)
    } catch (error) {
      log.debug({ error }, 'finished jobs were not cleared away')
    }
  }
  const timer = setInterval(() => {
    running ??= run().finally(() => (running = null))
  }, everyMs)
  return async () => {
    clearInterval(timer)
    await running
  }
}
