/**
 * Orders in transactions that are still open. Nobody here learns when somebody's transaction ends, and a notification from
 * within it would take a lock of the whole server: so this process asks for the rows until they can be seen, sooner at
 * first, and then tells the workers. Who asks in vain for too long leaves them to the workers' own polling.
 */

import type { JobEngine } from './engine.ts'

interface Pending {
  /** For which of them it asks; one that can be seen stands for its transaction. */
  readonly id: string
  nextMs: number
  readonly untilMs: number
  waitMs: number
}

const firstWaitMs = 1
const longestWaitMs = 500
const giveUpAfterMs = 60_000
const maxPending = 10_000

export class PendingOrders {
  readonly #engine: JobEngine
  readonly #visible: () => void
  readonly #pending = new Map<string, Pending>()
  #timer: NodeJS.Timeout | null = null
  #closed = false

  /** @param visible some can be seen now */
  constructor(engine: JobEngine, visible: () => void) {
    this.#engine = engine
    this.#visible = visible
  }

  add(id: string): void {
    if (this.#closed || this.#pending.size >= maxPending) return
    const nowMs = performance.now()
    this.#pending.set(id, { id, nextMs: nowMs + firstWaitMs, untilMs: nowMs + giveUpAfterMs, waitMs: firstWaitMs })
    this.#schedule()
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#pending.clear()
  }

  #schedule(): void {
    if (this.#timer !== null || this.#closed || this.#pending.size === 0) return
    const nextMs = Math.min(...[...this.#pending.values()].map((one) => one.nextMs))
    this.#timer = setTimeout(
      () => {
        void this.#ask().finally(() => {
          this.#timer = null
          this.#schedule()
        })
      },
      Math.max(0, nextMs - performance.now()),
    ).unref()
  }

  async #ask(): Promise<void> {
    const nowMs = performance.now()
    const due = [...this.#pending.values()].filter(({ nextMs }) => nextMs <= nowMs)
    const seen = await this.#engine.visible(due.map(({ id }) => id)).catch(() => [])
    for (const id of seen) this.#pending.delete(id)
    if (seen.length > 0) this.#visible()
    for (const one of due) {
      if (nowMs > one.untilMs) this.#pending.delete(one.id)
      one.waitMs = Math.min(longestWaitMs, 2 * one.waitMs)
      one.nextMs = performance.now() + one.waitMs
    }
  }
}
