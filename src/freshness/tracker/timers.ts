/** The timers of a run, which all end with it. */

export class Timers {
  readonly #running = new Set<NodeJS.Timeout>()
  readonly #failed: (error: unknown) => void
  #over = false

  constructor(failed: (error: unknown) => void) {
    this.#failed = failed
  }

  after(ms: number, work: () => void): void {
    if (this.#over) return
    const timer = setTimeout(() => {
      this.#running.delete(timer)
      work()
    }, ms)
    this.#running.add(timer)
  }

  /** Again and again, each time after the one before was done. */
  every(ms: number, work: () => Promise<void>): void {
    this.after(ms, () => {
      work().then(() => this.every(ms, work), this.#failed)
    })
  }

  end(): void {
    this.#over = true
    for (const timer of this.#running) clearTimeout(timer)
  }
}
