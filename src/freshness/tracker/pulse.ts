/**
 * Whether a run still stands on what it stood on when it began, and whether the server's stream is alive: FRESHNESS
 * rules 12 and 13. Asked every second; what it throws ends the run.
 */

import type pg from 'pg'

import type { Epoch } from '../../engines/position.ts'
import { forgetSlots } from '../../engines/postgres/changes/installation.ts'
import { emitBeat, isSynchronous, readStanding } from '../../engines/postgres/changes/observation.ts'
import { StreamBroken, StreamRefused } from './errors.ts'

export interface PulseOptions {
  readonly observer: pg.Client
  readonly slot: string
  /** The server's process that is to hold it. */
  readonly pid: number
  readonly epoch: Epoch
  readonly fingerprint: string
  /** A connection on which nothing arrives for so long is given up. */
  readonly silenceMs: number
  /** For how long nothing has arrived. */
  readonly silentMs: () => number
  /** Somebody changed what is in the publication. */
  readonly membersChanged: () => void
}

const healthyWithinMs = 5000

export class Pulse {
  readonly #options: PulseOptions
  /** Heartbeats that have not come back, with the time of each. */
  readonly #beats = new Map<number, number>()
  #beat = 0
  #members: string | null = null

  constructor(options: PulseOptions) {
    this.#options = options
  }

  /** Whether the last heartbeats came back in time. */
  get isHealthy(): boolean {
    return this.#lateMs() < healthyWithinMs
  }

  /** A heartbeat was seen in the stream. */
  hear(beat: number): void {
    for (const known of this.#beats.keys()) if (known <= beat) this.#beats.delete(known)
  }

  async check(): Promise<void> {
    await this.#checkStanding()
    this.#watchSilence()
    this.#beat += 1
    this.#beats.set(this.#beat, performance.now())
    await emitBeat(this.#options.observer, this.#beat)
  }

  async #checkStanding(): Promise<void> {
    const { observer, slot, pid, epoch, fingerprint, membersChanged } = this.#options
    const standing = await readStanding(observer, slot)
    if (standing.epoch !== epoch) throw new Error('the server has another epoch')
    if (isSynchronous(standing.synchronous)) throw new StreamRefused('synchronous_standby_names has the tracker in it')
    if (standing.fingerprint !== fingerprint) {
      await forgetSlots(observer)
      throw new StreamBroken('the publication or the event triggers were changed')
    }
    if (standing.slotPid !== pid) throw new Error('the slot is not held by this connection any more')
    if (this.#members === standing.members) return
    this.#members = standing.members
    membersChanged()
  }

  #lateMs(): number {
    const [first] = this.#beats.values()
    return first === undefined ? 0 : performance.now() - first
  }

  /** A heartbeat may stand behind a transaction of millions of rows: then others arrive. */
  #watchSilence(): void {
    const { silenceMs, silentMs } = this.#options
    if (this.isHealthy || silentMs() < silenceMs) return
    throw new Error(`nothing came from the server for ${silenceMs} ms`)
  }
}
