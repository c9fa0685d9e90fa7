/** What waits to be published: each address once, a few at a time, and what failed again after a while. */

import type { BakedPage, PageName } from './publishing.ts'

export interface Task {
  readonly name: PageName
  /** Null: it is looked for when its turn comes. */
  baked: BakedPage | null
  /** Looks at the places, and not at the ledger alone. */
  looks: boolean
  /** It is taken away, unless somebody looks after it again. */
  drops: boolean
  /** Something older may lie there, from a time when the lease was another's already. */
  doubtful: boolean
  failures: number
}

export interface TasksOptions {
  readonly atOnce: number
  /** Never rejects. */
  readonly run: (task: Task) => Promise<void>
}

/** Documents of so many waiting pages are kept; others are looked for again. */
const maxKept = 500

export class Tasks {
  readonly #options: TasksOptions
  /** By address: what waits for its turn. */
  readonly #waiting = new Map<string, Task>()
  readonly #running = new Set<string>()
  /** By address: what waits for its next attempt. */
  readonly #retries = new Map<string, { readonly timer: NodeJS.Timeout; readonly task: Task }>()
  readonly #idle = new Set<() => void>()
  #closed = false

  constructor(options: TasksOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size + this.#retries.size
  }

  /** How many wait for their next attempt. */
  get retries(): number {
    return this.#retries.size
  }

  /** The newest of a page waits once, with all that was to be done about it. */
  add(task: Task): void {
    if (this.#closed) return
    const { url } = task.name
    const retry = this.#retries.get(url)
    const before = this.#waiting.get(url) ?? retry?.task
    if (before !== undefined) merge(task, before)
    if (retry !== undefined) clearTimeout(retry.timer)
    this.#retries.delete(url)
    if (this.#waiting.size >= maxKept) task.baked = null
    this.#waiting.set(url, task)
    this.#next()
  }

  retry(task: Task, ms: number): void {
    const { url } = task.name
    if (this.#closed) return
    // Whatever came meanwhile is newer, or looks for the newest.
    const waits = this.#waiting.get(url)
    if (waits !== undefined) return merge(waits, task)
    // By the time that it is tried again there may be a newer one.
    task.baked = null
    const timer = setTimeout(() => {
      this.#retries.delete(url)
      this.add(task)
    }, ms)
    this.#retries.set(url, { timer, task })
  }

  /** Resolves when each that was handed on has had its turn. */
  settled(): Promise<void> {
    return this.#until(() => this.#waiting.size === 0 && this.#running.size === 0)
  }

  /** Resolves when there is room for more, so that what comes meanwhile need not stand behind all of it. */
  async room(): Promise<void> {
    if (this.#waiting.size >= this.#options.atOnce) await this.#until(() => this.#waiting.size === 0)
  }

  /** What is under way ends; what waits is given up. */
  async close(): Promise<void> {
    this.#closed = true
    for (const { timer } of this.#retries.values()) clearTimeout(timer)
    this.#retries.clear()
    this.#waiting.clear()
    await this.#until(() => this.#running.size === 0)
  }

  #next(): void {
    for (const [url, task] of this.#waiting) {
      if (this.#running.size >= this.#options.atOnce) break
      if (this.#running.has(url)) continue
      this.#waiting.delete(url)
      this.#running.add(url)
      void this.#options.run(task).finally(() => {
        this.#running.delete(url)
        this.#next()
      })
    }
    for (const check of this.#idle) check()
  }

  #until(isIdle: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isIdle()) return
        this.#idle.delete(check)
        resolve()
      }
      this.#idle.add(check)
      check()
    })
  }
}

function merge(task: Task, other: Task): void {
  task.looks ||= other.looks
  task.drops ||= other.drops
  task.doubtful ||= other.doubtful
}
