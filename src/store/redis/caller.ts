/**
 * Calls on a Redis that may be away, paused or replaced: a deadline on each, a reconnect in between where there is
 * time, and errors by Fourfold's names.
 */

import { FourfoldError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { closedError, createLink, type Link } from '../link.ts'
import type { DialOptions, RedisArgument, RedisConnection } from './connection.ts'
import type { Script } from './scripts.ts'

export interface CallerOptions {
  readonly address: string
  readonly deadlineMs: number
  readonly log: Logger
  readonly dial: (options: DialOptions) => Promise<RedisConnection>
}

export interface CallOptions {
  /** Whether the call may be made again when the connection broke before it was answered. */
  readonly repeatable: boolean
}

/** Answers of a server that cannot serve now: it starts, it became a replica, its cluster has no majority. */
const awayAnswers = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|NOREPLICAS|MISCONF)\b/
/** Those of them after which another server should be asked, on a new connection. */
const replacedAnswers = /^(READONLY|MASTERDOWN|CLUSTERDOWN)\b/

export class RedisCaller {
  private readonly options: CallerOptions
  private readonly link: Link<RedisConnection>
  private readonly underWay = new Set<Promise<unknown>>()
  private closing: Promise<void> | null = null

  constructor(options: CallerOptions) {
    this.options = options
    this.link = createLink<RedisConnection>({
      address: options.address,
      graceMs: options.deadlineMs,
      log: options.log,
      dial: (signal) =>
        options.dial({ signal, log: options.log, onLost: (connection, reason) => this.link.lost(connection, reason) }),
      hangUp: (connection) => connection.hangUp(),
    })
  }

  command<T>(args: readonly RedisArgument[], options: CallOptions): Promise<T> {
    return this.call((connection) => connection.send<T>(args), options)
  }

  /** Runs a script by its digest; by its source where the server does not know it (any more). */
  script<T>(script: Script, key: string, args: readonly RedisArgument[], options: CallOptions): Promise<T> {
    return this.call(async (connection) => {
      try {
        return await connection.send<T>(['EVALSHA', script.sha1, '1', key, ...args])
      } catch (error) {
        if (!isReply(error) || !error.message.startsWith('NOSCRIPT')) throw error
        return connection.send<T>(['EVAL', script.source, '1', key, ...args])
      }
    }, options)
  }

  incarnation(): string | Promise<string> {
    if (this.closing !== null) return Promise.reject(closedError())
    return (
      this.link.current?.incarnation ?? this.call(async (connection) => connection.incarnation, { repeatable: true })
    )
  }

  /** Lets what is under way come to its end, which its deadline bounds. */
  close(): Promise<void> {
    this.closing ??= Promise.allSettled(this.underWay).then(() => this.link.close())
    return this.closing
  }

  private call<T>(work: (connection: RedisConnection) => Promise<T>, options: CallOptions): Promise<T> {
    if (this.closing !== null) return Promise.reject(closedError())
    const call = this.withDeadline(work, options)
    this.underWay.add(call)
    const forget = (): void => void this.underWay.delete(call)
    call.then(forget, forget)
    return call
  }

  private withDeadline<T>(work: (connection: RedisConnection) => Promise<T>, options: CallOptions): Promise<T> {
    return new Promise((resolve, reject) => {
      const call: Call = { over: false, connection: null, receivedThen: 0 }
      const timer = setTimeout(() => {
        call.over = true
        reject(this.expire(call))
      }, this.options.deadlineMs)
      this.attempt(work, options, call)
        .then(resolve, reject)
        .finally(() => clearTimeout(timer))
    })
  }

  private async attempt<T>(
    work: (connection: RedisConnection) => Promise<T>,
    options: CallOptions,
    call: Call,
  ): Promise<T> {
    for (;;) {
      const connection = this.link.current ?? (await this.link.wait())
      if (call.over) throw closedError()
      call.connection = connection
      call.receivedThen = connection.received
      try {
        return await work(connection)
      } catch (error) {
        const known = this.explain(error, connection)
        // What the server refused did not take place; what broke on the way may have.
        if (call.over || isReply(error) || !options.repeatable) throw known
        call.connection = null
      }
    }
  }

  private expire(call: Call): FourfoldError {
    const { address, deadlineMs } = this.options
    if (call.connection === null && this.link.refused) return this.link.absence()
    if (call.connection !== null && call.connection.received === call.receivedThen) {
      // Not a word since: it is paused or gone without a goodbye, and answers would only pile up.
      this.link.lost(call.connection, new Error(`nothing came for ${deadlineMs} ms`))
    }
    const message = `the store at ${address} did not answer within ${deadlineMs} ms; whether the operation took place is unknown`
    return new FourfoldError('FF_STORE_DEADLINE', message, { fields: { address, deadlineMs } })
  }

  private explain(error: unknown, connection: RedisConnection): FourfoldError {
    const text = error instanceof Error ? error.message : String(error)
    const fields = { address: this.options.address }
    if (!isReply(error)) {
      this.link.lost(connection, error)
      const message = `the connection to ${this.options.address} broke (${text}); whether the operation took place is unknown`
      return new FourfoldError('FF_STORE_UNAVAILABLE', message, { cause: error, fields })
    }
    if (replacedAnswers.test(text)) this.link.lost(connection, error)
    const code = awayAnswers.test(text) ? 'FF_STORE_UNAVAILABLE' : 'FF_STORE_ANSWER'
    return new FourfoldError(code, `the store at ${this.options.address} answered: ${text}`, { cause: error, fields })
  }
}

interface Call {
  over: boolean
  connection: RedisConnection | null
  receivedThen: number
}

/** An error that the server sent, as against one of the connection. node-redis has a class for it; an adopted client may bring another copy of that class. */
function isReply(error: unknown): error is Error {
  return error instanceof Error && /^(ErrorReply|SimpleError|BlobError)$/.test(error.constructor.name)
}
