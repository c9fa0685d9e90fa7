/**
 * Calls on a server that may be away, paused or replaced: a deadline on each, a reconnect in between where there is
 * time, and errors by Fourfold's names. What the redis and the sql driver share; each says what its server's errors
 * mean.
 */

import { FourfoldError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { closedError, createLink, type Link } from './link.ts'

export interface CallerConnection {
  /** How many answers have come on it. */
  readonly received: number
  hangUp(): void
}

export interface DialOptions<C> {
  readonly signal: AbortSignal
  /** Called once, when the connection is of no use any more. */
  readonly onLost: (connection: C, reason: unknown) => void
  readonly log: Logger
}

export interface CallOptions {
  /** Whether the call may be made again when the connection broke before it was answered. */
  readonly repeatable: boolean
}

/**
 * What an error means. `broken`: the connection; whether the call took place is unknown. The others are answers, and
 * the call did not take place: `refused`; `away`: the server cannot serve now; `replaced`: another server should be asked, on
 * a new connection; `again`: the same call may succeed at once.
 */
export type Judgement = 'broken' | 'refused' | 'away' | 'replaced' | 'again'

export interface CallerOptions<C> {
  /** The store's address as it may be shown. */
  readonly address: string
  readonly deadlineMs: number
  readonly log: Logger
  /** How many connections there are. Each call takes the one with the least to do. */
  readonly connections: number
  readonly dial: (options: DialOptions<C>) => Promise<C>
  readonly judge: (error: unknown) => Judgement
}

interface Call<C> {
  over: boolean
  lane: Lane<C> | null
  connection: C | null
  receivedThen: number
}

interface Lane<C> {
  readonly link: Link<C>
  underWay: number
}

export class Caller<C extends CallerConnection> {
  private readonly options: CallerOptions<C>
  private readonly lanes: readonly Lane<C>[]
  private readonly underWay = new Set<Promise<unknown>>()
  private closing: Promise<void> | null = null

  constructor(options: CallerOptions<C>) {
    this.options = options
    this.lanes = Array.from({ length: options.connections }, () => this.openLane())
  }

  /** A connection that is there now, or null. */
  get current(): C | null {
    return this.lanes.find(({ link }) => link.current !== null)?.link.current ?? null
  }

  call<T>(work: (connection: C) => Promise<T>, options: CallOptions): Promise<T> {
    if (this.closing !== null) return Promise.reject(closedError())
    const call = this.withDeadline(work, options)
    this.underWay.add(call)
    const forget = (): void => void this.underWay.delete(call)
    call.then(forget, forget)
    return call
  }

  get closed(): boolean {
    return this.closing !== null
  }

  /** Lets what is under way come to its end, which its deadline bounds. */
  close(): Promise<void> {
    this.closing ??= Promise.allSettled(this.underWay).then(() => this.lanes.forEach(({ link }) => link.close()))
    return this.closing
  }

  private openLane(): Lane<C> {
    const { address, deadlineMs, log, dial } = this.options
    const link: Link<C> = createLink<C>({
      address,
      graceMs: deadlineMs,
      log,
      dial: (signal) => dial({ signal, log, onLost: (connection, reason) => link.lost(connection, reason) }),
      hangUp: (connection) => connection.hangUp(),
    })
    return { link, underWay: 0 }
  }

  private withDeadline<T>(work: (connection: C) => Promise<T>, options: CallOptions): Promise<T> {
    return new Promise((resolve, reject) => {
      const call: Call<C> = { over: false, lane: null, connection: null, receivedThen: 0 }
      let settled = false
      const expire = (): void => {
        if (settled) return
        call.over = true
        reject(this.expire(call))
      }
      // Where this process itself stood still, the answer may be here and not read yet: it is, before an immediate comes.
      const timer = setTimeout(() => setImmediate(expire), this.options.deadlineMs)
      this.attempt(work, options, call)
        .then(resolve, reject)
        .finally(() => {
          settled = true
          clearTimeout(timer)
        })
    })
  }

  private async attempt<T>(work: (connection: C) => Promise<T>, options: CallOptions, call: Call<C>): Promise<T> {
    for (;;) {
      const lane = (call.lane = this.chooseLane())
      const connection = lane.link.current ?? (await lane.link.wait())
      if (call.over) throw closedError()
      call.connection = connection
      call.receivedThen = connection.received
      lane.underWay += 1
      try {
        return await work(connection)
      } catch (error) {
        const judgement = this.options.judge(error)
        const known = this.explain(error, judgement, lane, connection)
        const again = judgement === 'again' || (judgement === 'broken' && options.repeatable)
        if (call.over || !again) throw known
        call.connection = null
      } finally {
        lane.underWay -= 1
      }
    }
  }

  /** Of those that are connected, the one with the least to do. */
  private chooseLane(): Lane<C> {
    let best = this.lanes[0]!
    for (const lane of this.lanes) {
      const better = lane.link.current !== null && (best.link.current === null || lane.underWay < best.underWay)
      if (better) best = lane
    }
    return best
  }

  private expire(call: Call<C>): FourfoldError {
    const { address, deadlineMs } = this.options
    if (call.connection === null && call.lane?.link.refused === true) return call.lane.link.absence()
    if (call.connection !== null && call.connection.received === call.receivedThen) {
      // Not a word since: it is paused or gone without a goodbye, and answers would only pile up.
      call.lane?.link.lost(call.connection, new Error(`nothing came for ${deadlineMs} ms`))
    }
    const message = `the store at ${address} did not answer within ${deadlineMs} ms; whether the operation took place is unknown`
    return new FourfoldError('FF_STORE_DEADLINE', message, { fields: { address, deadlineMs } })
  }

  private explain(error: unknown, judgement: Judgement, { link }: Lane<C>, connection: C): FourfoldError {
    const text = error instanceof Error ? error.message : String(error)
    const { address } = this.options
    const details = { cause: error, fields: { address } }
    if (judgement === 'broken' || judgement === 'replaced') link.lost(connection, error)
    if (judgement === 'broken') {
      const message = `the connection to ${address} broke (${text}); whether the operation took place is unknown`
      return new FourfoldError('FF_STORE_UNAVAILABLE', message, details)
    }
    const code = judgement === 'refused' ? 'FF_STORE_ANSWER' : 'FF_STORE_UNAVAILABLE'
    return new FourfoldError(code, `the store at ${address} answered: ${text}`, details)
  }
}
