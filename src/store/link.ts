/**
 * A connection that comes back by itself. It is what the drivers share: dialling with backoff, telling who waits
 * when the store is there again, and refusing at once when it has been away for longer than an operation may take.
 *
 * Invariants: at most one dial at a time, at most one live connection. Operations are not queued here; they may
 * wait for a dial that is under way, never longer than their own deadline.
 */

import { FourfoldError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'

const firstBackoffMs = 4
const longestBackoffMs = 120

export interface LinkOptions<C> {
  /** Makes a connection that is ready to be used. The signal is aborted when nobody wants it any more. */
  readonly dial: (signal: AbortSignal) => Promise<C>
  readonly hangUp: (connection: C) => void
  /** How long a store may be away before operations are refused at once, and how long one dial may take. */
  readonly graceMs: number
  /** The store's address as it may be shown. */
  readonly address: string
  readonly log: Logger
}

export interface Link<C> {
  readonly current: C | null
  /** Whether the last dial ended with an error, not with silence. */
  readonly refused: boolean
  /** Resolves with the next connection. Rejects with FF_STORE_UNAVAILABLE when the store has been away too long. */
  wait(): Promise<C>
  /** Tells that a connection is of no use any more; a new one is dialled. A connection that is not current is ignored. */
  lost(connection: C, reason: unknown): void
  /** The error for an operation that found no connection within its time. */
  absence(): FourfoldError
  close(): void
}

export function createLink<C>(options: LinkOptions<C>): Link<C> {
  return new ReconnectingLink(options)
}

class ReconnectingLink<C> implements Link<C> {
  current: C | null = null
  private readonly options: LinkOptions<C>
  private readonly waiting = new Set<PromiseWithResolvers<C>>()
  private readonly stopped = new AbortController()
  refused = false
  private awaySince = performance.now()
  private attempts = 0
  private lastFailure: unknown = undefined
  private timer: NodeJS.Timeout | undefined

  constructor(options: LinkOptions<C>) {
    this.options = options
    void this.dial()
  }

  wait(): Promise<C> {
    if (this.current !== null) return Promise.resolve(this.current)
    if (this.stopped.signal.aborted) return Promise.reject(closedError())
    if (performance.now() - this.awaySince > this.options.graceMs) return Promise.reject(this.absence())
    const waiter = Promise.withResolvers<C>()
    this.waiting.add(waiter)
    return waiter.promise
  }

  lost(connection: C, reason: unknown): void {
    if (this.current !== connection) return
    this.current = null
    this.options.hangUp(connection)
    if (this.stopped.signal.aborted) return
    this.options.log.warn({ store: this.options.address, error: reason }, 'the store is away; reconnecting')
    this.awaySince = performance.now()
    this.lastFailure = reason
    void this.dial()
  }

  absence(): FourfoldError {
    const away = Math.round(performance.now() - this.awaySince)
    return new FourfoldError(
      'FF_STORE_UNAVAILABLE',
      `the store at ${this.options.address} has been away for ${away} ms; it is tried again until it answers`,
      { cause: this.lastFailure, fields: { address: this.options.address, awayMs: away } },
    )
  }

  close(): void {
    if (this.stopped.signal.aborted) return
    this.stopped.abort()
    clearTimeout(this.timer)
    for (const waiter of this.waiting) waiter.reject(closedError())
    this.waiting.clear()
    if (this.current !== null) this.options.hangUp(this.current)
    this.current = null
  }

  private async dial(): Promise<void> {
    const limit = Math.max(this.options.graceMs, 100)
    const signal = AbortSignal.any([this.stopped.signal, AbortSignal.timeout(limit)])
    try {
      this.connected(await this.options.dial(signal))
    } catch (error) {
      this.failed(error)
    }
  }

  private connected(connection: C): void {
    if (this.stopped.signal.aborted) return this.options.hangUp(connection)
    if (this.attempts > 0) this.options.log.info({ store: this.options.address }, 'the store is back')
    this.current = connection
    this.attempts = 0
    this.refused = false
    for (const waiter of this.waiting) waiter.resolve(connection)
    this.waiting.clear()
  }

  private failed(error: unknown): void {
    if (this.stopped.signal.aborted) return
    this.lastFailure = error
    this.refused = !isTimeout(error)
    if (performance.now() - this.awaySince > this.options.graceMs) this.refuseWaiting()
    this.attempts += 1
    // Half of the pause is chance, so that many clones do not come back in step.
    const pause = Math.min(longestBackoffMs, firstBackoffMs * 2 ** Math.min(this.attempts, 10))
    this.timer = setTimeout(() => void this.dial(), pause / 2 + (Math.random() * pause) / 2)
  }

  private refuseWaiting(): void {
    const error = this.absence()
    for (const waiter of this.waiting) waiter.reject(error)
    this.waiting.clear()
  }
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError'
}

/** The error for calls on a store that was closed. */
export function closedError(): FourfoldError {
  return new FourfoldError(
    'FF_CORE_CLOSED',
    'the store was used after it was closed; open it for as long as it is needed',
  )
}
