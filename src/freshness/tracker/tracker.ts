/**
 * The tracker of a database: reads its change stream and publishes what changed to every process.
 *
 * A loop of runs. Any number of trackers may be started for one database; the one that holds the replication slot works and
 * the others wait for it to die.
 */

import type { Logger } from '../../core/log.ts'
import type { PostgresAddress } from '../../engines/postgres/address.ts'
import type { DdlPolicy } from '../../engines/postgres/changes/installation.ts'
import type { Tracking } from '../../engines/postgres/changes/tables.ts'
import type { Store } from '../../store/store.ts'
import { SlotTaken, StreamBroken, StreamRefused } from './errors.ts'
import { openRun } from './open-run.ts'
import type { Run, RunStatus } from './run.ts'

export type { RunStatus } from './run.ts'

export interface TrackerOptions {
  /** The app's name of the database. */
  readonly database: string
  /** The primary, and not through a pooler. */
  readonly address: PostgresAddress
  readonly store: Store
  /** How closely a table is tracked. Default: all `full`. */
  readonly trackingOf?: (schema: string, name: string) => Tracking
  /** Default: `any`. */
  readonly ddl?: DdlPolicy
  readonly log: Logger
}

/**
 * `waiting`: another tracker works. `refused`: the server does not allow the stream. `broken`: it will be tried again
 * soon.
 */
export type TrackerStatus =
  | { readonly state: 'starting' | 'stopped' }
  | { readonly state: 'waiting' | 'refused' | 'broken'; readonly reason: string }
  | ({ readonly state: 'streaming' } & RunStatus)

export interface Tracker {
  status(): TrackerStatus
  /** Ends the stream and gives the slot free. May be called twice. */
  stop(): Promise<void>
}

const slotRetryMs = 250
const refusedRetryMs = 10_000
const firstRetryMs = 50
const longestRetryMs = 2000
const firstSilenceMs = 5000
const longestSilenceMs = 300_000

/** Starts a tracker. It is tried again for ever, whatever goes wrong; {@link Tracker.status} tells. */
export function startTracker(options: TrackerOptions): Tracker {
  return new TrackerLoop(options)
}

class TrackerLoop implements Tracker {
  readonly #options: TrackerOptions
  readonly #log: Logger
  readonly #stopping = Promise.withResolvers<void>()
  readonly #abort = new AbortController()
  #stopped = false
  #run: Run | null = null
  #status: TrackerStatus = { state: 'starting' }
  #failures = 0
  #silenceMs = firstSilenceMs
  readonly #done: Promise<void>

  constructor(options: TrackerOptions) {
    this.#options = options
    this.#log = options.log.child({ tracker: options.database })
    this.#done = this.#loop()
  }

  status(): TrackerStatus {
    return this.#run === null ? this.#status : { state: 'streaming', ...this.#run.status }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#stopping.resolve()
    this.#abort.abort()
    await this.#done
    this.#status = { state: 'stopped' }
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#once()
      } catch (error) {
        await this.#after(error)
      }
    }
  }

  async #once(): Promise<void> {
    const { database, address, store, trackingOf = () => 'full', ddl = 'any' } = this.#options
    const waiting = (reason: string): void => this.#wait(reason)
    const signal = this.#abort.signal
    const settings = { trackingOf, ddl, silenceMs: this.#silenceMs, log: this.#log }
    const run = await openRun({ database, address, store, ...settings, waiting, signal })
    const { published, slot, cacheOff } = run.status
    this.#log.info({ slot, from: published }, 'the change stream begins')
    if (cacheOff !== null) this.#log.warn({ reason: cacheOff }, 'nothing is cached; see: fourfold doctor')
    this.#run = run
    try {
      const error = await Promise.race([run.ended, this.#stopping.promise])
      if (error !== undefined) throw error
    } finally {
      if (run.status.published > published) {
        this.#failures = 0
        this.#silenceMs = firstSilenceMs
      }
      this.#run = null
      await run.stop()
    }
  }

  async #after(error: unknown): Promise<void> {
    const reason = error instanceof Error ? error.message : String(error)
    if (this.#stopped) return
    if (error instanceof SlotTaken) {
      this.#wait(reason)
      return await this.#sleep(slotRetryMs)
    }
    if (error instanceof StreamRefused) {
      this.#say('refused', reason, () => this.#log.warn({ reason }, 'no change stream; see: fourfold doctor'))
      return await this.#sleep(refusedRetryMs)
    }
    this.#say('broken', reason, () => this.#log.warn({ error }, 'the change stream broke; beginning anew'))
    this.#failures += 1
    if (this.#failures > 1) this.#silenceMs = Math.min(longestSilenceMs, this.#silenceMs * 2)
    const wait = error instanceof StreamBroken ? firstRetryMs : firstRetryMs * 2 ** Math.min(this.#failures, 6)
    await this.#sleep(Math.min(longestRetryMs, wait))
  }

  #wait(reason: string): void {
    this.#say('waiting', reason, () => this.#log.info({ reason }, 'another tracker is at work; waiting'))
  }

  /** A line in the log only when something is new. */
  #say(state: 'waiting' | 'refused' | 'broken', reason: string, log: () => void): void {
    const before = this.#status
    if (before.state !== state || !('reason' in before) || before.reason !== reason) log()
    this.#status = { state, reason }
  }

  async #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ms)
    await Promise.race([promise, this.#stopping.promise])
    clearTimeout(timer)
  }
}
