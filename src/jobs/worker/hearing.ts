/** Whether calls for work come through to a worker, a pooler or a proxy in between or not: else it has to look more often. */

import { callOf, type Call } from '../told.ts'

import type { CallListener } from '../engine.ts'
import type { Logger } from '../../core/log.ts'

export interface HearingOptions {
  /** Listens to calls until it is stopped by what it answers. */
  readonly listen: (listener: CallListener) => () => Promise<void>
  /** Sends a call to itself. */
  readonly probe: () => void
  readonly hear: (call: Call) => void
  /** Some may have been missed. */
  readonly missed: () => void
  readonly deaf: (isDeaf: boolean) => void
  readonly log: Logger
}

const heardWithinMs = 2_000
const lookMs = 200

export class Hearing {
  readonly #options: HearingOptions
  #unlisten: (() => Promise<void>) | null = null
  #timer: NodeJS.Timeout | undefined
  /** When it asked itself whether it hears; null: it does. */
  #probedAtMs: number | null = null
  #isDeaf = false

  constructor(options: HearingOptions) {
    this.#options = options
  }

  start(): void {
    const { listen, missed } = this.#options
    this.#unlisten = listen({ hear: (message) => this.#hear(callOf(message)), missed })
    this.#timer = setInterval(() => this.#look(), lookMs)
    this.#probe()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#unlisten?.()
  }

  #hear(call: Call): void {
    const { deaf, hear } = this.#options
    // Whatever is heard shows that calls arrive.
    this.#probedAtMs = null
    if (this.#isDeaf) deaf((this.#isDeaf = false))
    hear(call)
  }

  #probe(): void {
    this.#probedAtMs = performance.now()
    // Behind the listener's connection.
    setTimeout(() => this.#options.probe(), heardWithinMs / 4).unref()
  }

  #look(): void {
    if (this.#probedAtMs === null || performance.now() - this.#probedAtMs < heardWithinMs) return
    const { deaf, log } = this.#options
    if (!this.#isDeaf) {
      log.warn({}, 'calls for work do not arrive here: looking for jobs more often instead')
      deaf((this.#isDeaf = true))
    }
    // Once more: the database may have been away.
    this.#probe()
  }
}
