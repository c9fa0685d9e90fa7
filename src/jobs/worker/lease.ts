/**
 * The name that a worker works under, as long as its heartbeats arrive. When it is gone, the worker goes on under another
 * one: nothing is right because a lease lasts. Claims and heartbeats never overlap: a heartbeat hands back what it does not know.
 */

import type { ClaimName, JobEngine } from '../engine.ts'
import type { Logger } from '../../core/log.ts'

export interface LeaseOptions {
  readonly engine: JobEngine
  /** For people who look at the table. */
  readonly name: string
  /** Another worker takes over within so long what this one had. */
  readonly recoverWithinMs: number
  /** The jobs in its hands under this name. */
  readonly held: (worker: string) => readonly string[]
  /** Somebody wants these to be cancelled. */
  readonly cancel: (claims: readonly ClaimName[]) => void
  /** All that it had under this name is, or will be, another's. */
  readonly lost: (worker: string) => void
  /** Jobs of others that had died wait again. */
  readonly recovered: () => void
  readonly log: Logger
}

/** A lease, and a look for those that are over, take this part of the time in which jobs are to be taken over. */
const leasePart = 0.6
const beatPart = 0.12

export class Lease {
  readonly #options: LeaseOptions
  #worker: string | null = null
  #timer: NodeJS.Timeout | undefined
  #lock: Promise<unknown> = Promise.resolve()
  #beating: Promise<void> | null = null

  constructor(options: LeaseOptions) {
    this.#options = options
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#beating ??= this.#beat().finally(() => (this.#beating = null))
    }, this.#options.recoverWithinMs * beatPart)
  }

  /** No heartbeat follows; what is under way has ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#beating
    await this.#lock.catch(() => undefined)
  }

  /** The name, made where there is none. */
  async worker(): Promise<string> {
    const { engine, name } = this.#options
    this.#worker ??= await engine.register(name, this.#leaseMs)
    return this.#worker
  }

  /** One after the other, heartbeats included. */
  locked<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#lock.then(work, work)
    this.#lock = result.catch(() => undefined)
    return result
  }

  /** Gives the name up, and with it what is left. False: there was none. */
  async withdraw(): Promise<boolean> {
    const { engine, log } = this.#options
    if (this.#worker === null) return false
    await engine
      .withdraw(this.#worker)
      .catch((error: unknown) => log.debug({ error }, 'a worker of jobs left without a word'))
    return true
  }

  get #leaseMs(): number {
    return this.#options.recoverWithinMs * leasePart
  }

  async #beat(): Promise<void> {
    const { engine, recovered, log } = this.#options
    try {
      await this.locked(async () => await this.#renew())
      // Whoever lives looks after those who do not.
      if ((await engine.recover()) > 0) recovered()
    } catch (error) {
      log.debug({ error }, 'a heartbeat of the worker of jobs did not arrive')
    }
  }

  async #renew(): Promise<void> {
    const { engine, held, cancel, lost } = this.#options
    const worker = this.#worker
    if (worker === null) return
    const { alive, cancelled } = await engine.beat(worker, this.#leaseMs, held(worker))
    if (alive) return cancel(cancelled)
    this.#worker = null
    lost(worker)
  }
}
