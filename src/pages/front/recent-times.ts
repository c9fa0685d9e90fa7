/** When something was done last, for a bounded number of names: the oldest are forgotten first. */

export class RecentTimes {
  readonly #max: number
  readonly #times = new Map<string, number>()

  constructor(max: number) {
    this.#max = max
  }

  has(name: string): boolean {
    return this.#times.has(name)
  }

  /** -Infinity where it is not known. */
  at(name: string): number {
    return this.#times.get(name) ?? -Infinity
  }

  set(name: string, atMs: number): void {
    // To the end, where the newest are.
    this.#times.delete(name)
    this.#times.set(name, atMs)
    if (this.#times.size > this.#max) this.#times.delete(this.#times.keys().next().value!)
  }

  clear(): void {
    this.#times.clear()
  }
}
