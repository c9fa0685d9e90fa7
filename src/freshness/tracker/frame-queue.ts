/**
 * Frames between the socket and whoever looks at them: in order, one at a time, and the socket is paused before what waits
 * takes much memory.
 */

const maxWaitingBytes = 4 * 1024 * 1024

export interface Tap {
  pause(): void
  resume(): void
}

type Taker = (frame: Buffer) => Promise<void> | void

export class FrameQueue {
  readonly #tap: Tap
  readonly #failed: (error: unknown) => void
  #taker: Taker | null = null
  #waiting: Buffer[] = []
  #bytes = 0
  #busy = false
  #held = false
  #paused = false
  #closed = false
  #heard = performance.now()

  constructor(tap: Tap, failed: (error: unknown) => void) {
    this.#tap = tap
    this.#failed = failed
  }

  /** For how long nothing has come, although the socket was read. */
  get silentMs(): number {
    return this.#paused ? 0 : performance.now() - this.#heard
  }

  /** The bytes of `frame` are the socket's, and used again after this returns. */
  push(frame: Buffer): void {
    if (this.#closed) return
    this.#heard = performance.now()
    if (this.#taker !== null && !this.#busy && this.#waiting.length === 0) {
      this.#take(frame, this.#taker)
      return
    }
    this.#waiting.push(Buffer.from(frame))
    this.#bytes += frame.length
    this.#regulate()
  }

  open(taker: Taker): void {
    this.#taker = taker
    this.#drain()
  }

  /** Whether the socket shall rest for reasons of others. */
  hold(held: boolean): void {
    if (this.#held === held) return
    this.#held = held
    this.#regulate()
  }

  close(): void {
    this.#closed = true
    this.#waiting = []
  }

  #take(frame: Buffer, taker: Taker): void {
    try {
      const later = taker(frame)
      if (later === undefined) return
      this.#busy = true
      later.then(
        () => {
          this.#busy = false
          this.#drain()
        },
        (error: unknown) => this.#failed(error),
      )
    } catch (error) {
      this.#closed = true
      this.#failed(error)
    }
  }

  #drain(): void {
    let taken = 0
    while (this.#taker !== null && !this.#busy && !this.#closed && taken < this.#waiting.length) {
      const frame = this.#waiting[taken] as Buffer
      taken += 1
      this.#bytes -= frame.length
      this.#take(frame, this.#taker)
    }
    this.#waiting.splice(0, taken)
    this.#regulate()
  }

  #regulate(): void {
    const paused = this.#held || this.#bytes > maxWaitingBytes
    if (paused === this.#paused) return
    this.#paused = paused
    this.#heard = performance.now()
    if (paused) this.#tap.pause()
    else this.#tap.resume()
  }
}
