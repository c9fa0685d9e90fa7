/**
 * How many jobs a worker takes beyond those that it runs. A trivial job takes less time than asking for it, so a worker that asked
 * for each would mostly wait; one that took long ones ahead would keep them from workers that are free.
 */

/** What is taken ahead is begun within about so long. */
const aheadMs = 50
const mostAhead = 200
/** Of what is known, how much one more job changes. */
const share = 0.05

export class Ahead {
  #averageMs: number | null = null

  /** A job took so long. */
  took(ms: number): void {
    this.#averageMs = this.#averageMs === null ? ms : this.#averageMs + share * (ms - this.#averageMs)
  }

  /**
   * @param concurrency how many run at a time
   * @param quietMs for how long none has begun: whatever those before have taken, what runs now takes longer
   */
  of(concurrency: number, quietMs: number): number {
    if (this.#averageMs === null || quietMs > aheadMs) return 0
    return Math.min(mostAhead, Math.floor((concurrency * aheadMs) / Math.max(this.#averageMs, 0.01)))
  }
}
