/**
 * Asks the primary for its position in the background, about once a second, and knows from it how old a replica's
 * answer can be (FRESHNESS rule 24).
 *
 * Age is measured on this process's own monotonic clock from the moment a position query was *sent*: whoever has
 * replayed that position has everything that was committed before then. A process that slept wakes up with old samples
 * only, and so knows that it is old.
 */

import { isFourfoldError } from '../core/errors.ts'

import type { Logger } from '../core/log.ts'
import type { Epoch, Lsn, WritePosition } from '../engines/position.ts'

interface Sample {
  readonly sentAtMs: number
  readonly lsn: Lsn
}

export interface PositionMonitorOptions {
  /** Reads the position on the primary. Has its own deadline. */
  readonly read: () => Promise<WritePosition>
  readonly intervalMs: number
  readonly maxStalenessMs: number
  readonly nowMs: () => number
  readonly log: Logger
}

export class PositionMonitor {
  readonly #options: PositionMonitorOptions
  #samples: Sample[] = []
  #epoch: Epoch | null = null
  #failedAtMs: number | null = null
  #timer: NodeJS.Timeout | null = null
  #running: Promise<void> | null = null
  #stopped = false

  constructor(options: PositionMonitorOptions) {
    this.#options = options
  }

  /** The epoch of the newest position, or null before the first. */
  get epoch(): Epoch | null {
    return this.#epoch
  }

  /** Whether the newest position query failed, not long ago: only then does an old replica count as the best there is. */
  get primaryDown(): boolean {
    const { nowMs, intervalMs } = this.#options
    return this.#failedAtMs !== null && nowMs() - this.#failedAtMs < intervalMs * 10
  }

  /** The least position that is at most `maxStaleness` old, or null: nothing this process knows of is young enough. */
  youngEnough(): Lsn | null {
    const oldest = this.#options.nowMs() - this.#options.maxStalenessMs
    while (this.#samples.length > 0 && (this.#samples[0]?.sentAtMs ?? 0) < oldest) this.#samples.shift()
    return this.#samples[0]?.lsn ?? null
  }

  /** Until when, on this process's clock, a position is young enough: 0 where it is not. */
  youngUntilMs(lsn: Lsn): number {
    const { maxStalenessMs } = this.#options
    const newest = this.#samples.findLast((sample) => sample.lsn <= lsn)
    return newest === undefined ? 0 : newest.sentAtMs + maxStalenessMs
  }

  /** How long ago the newest query was sent whose position this one has reached; null where it has reached none. */
  lagMs(lsn: Lsn): number | null {
    const newest = this.#samples.findLast((sample) => sample.lsn <= lsn)
    return newest === undefined ? null : this.#options.nowMs() - newest.sentAtMs
  }

  /** Told of positions that others read on the primary, for the epoch. */
  saw(position: WritePosition): void {
    if (position.epoch === this.#epoch) return
    if (this.#epoch !== null) {
      this.#options.log.warn(
        { was: this.#epoch, is: position.epoch },
        'the database has a new epoch: older positions mean nothing now',
      )
    }
    this.#epoch = position.epoch
    this.#samples = []
  }

  /** Takes a first sample and goes on until {@link stop}. Resolves also when the primary does not answer. */
  async start(): Promise<void> {
    await this.sample()
    this.#schedule()
  }

  /** One position query now; joins one that runs. */
  sample(): Promise<void> {
    this.#running ??= this.#take().finally(() => {
      this.#running = null
    })
    return this.#running
  }

  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    await this.#running
  }

  async #take(): Promise<void> {
    const sentAtMs = this.#options.nowMs()
    try {
      const position = await this.#options.read()
      this.saw(position)
      this.#failedAtMs = null
      this.#samples.push({ sentAtMs, lsn: position.lsn })
    } catch (error) {
      if (this.#stopped || isFourfoldError(error, 'FF_CORE_CLOSED')) return
      if (this.#failedAtMs === null) this.#options.log.warn({ error }, 'the primary does not answer')
      this.#failedAtMs = this.#options.nowMs()
    }
  }

  #schedule(): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => {
      void this.sample().finally(() => this.#schedule())
    }, this.#options.intervalMs)
    this.#timer.unref()
  }
}
