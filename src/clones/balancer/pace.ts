/**
 * Whether a client sends its body at a pace that is worth waiting for. A pause has a limit of its own; this is for the
 * client that sends a byte now and then and would hold what it occupies for days. Time in which nobody took what it
 * sent does not count against it.
 */

export interface PaceOptions {
  /** Below this it is too slow; 0: never. */
  readonly bodyMinBytesPerSecond: number
  /** How long nothing is said, so that a slow start is no offence. */
  readonly bodyTimeoutMs: number
}

export class Pace {
  readonly #options: PaceOptions
  readonly #now: () => number
  #bytes = 0
  #waitedMs = 0
  /** Since when the client is waited for; null while it is not. */
  #since: number | null

  constructor(options: PaceOptions, now: () => number = () => performance.now()) {
    this.#options = options
    this.#now = now
    this.#since = now()
  }

  /** Counts what came; false if it is too little for the time. */
  keepsUp(bytes: number): boolean {
    const now = this.#now()
    if (this.#since !== null) this.#waitedMs += now - this.#since
    this.#since = now
    this.#bytes += bytes
    const { bodyMinBytesPerSecond, bodyTimeoutMs } = this.#options
    return this.#waitedMs <= bodyTimeoutMs || this.#bytes >= (this.#waitedMs / 1000) * bodyMinBytesPerSecond
  }

  pause(): void {
    this.#since = null
  }

  resume(): void {
    this.#since ??= this.#now()
  }
}
