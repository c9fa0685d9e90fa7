/**
 * Tells when an entry was added to a stream: a blocking read on a connection of its own, since it holds up all others
 * on its connection. It is a signal and no more; what there is to read is asked on the ordinary connection.
 *
 * A connection is opened when somebody first waits, one for each wait at a time, and kept for the next. One that
 * breaks, or cannot be had, ends the wait early: whoever asks then on the ordinary connection hears what is wrong.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { silentLogger } from '../../core/log.ts'
import type { DialOptions } from '../caller.ts'
import { closedError } from '../link.ts'
import { untilAborted, type RedisConnection } from './connection.ts'

/** Between questions where nothing signals. */
const pollMs = 50
/** By so much the server's time is over before ours, so that its answer is here and the connection can be used again. */
const marginMs = 10
const mostIdle = 4
const longestDialMs = 1000

export class StreamSignals {
  private readonly dial: (options: DialOptions<RedisConnection>) => Promise<RedisConnection>
  /** Waits and dials that are under way. */
  private readonly underWay = new Set<AbortController>()
  private readonly open = new Set<RedisConnection>()
  private readonly idle: RedisConnection[] = []
  private closed = false

  constructor(dial: (options: DialOptions<RedisConnection>) => Promise<RedisConnection>) {
    this.dial = dial
  }

  /** Resolves when an entry behind `after` is there, after `leftMs` at the latest. Rejects only when it is closed. */
  async wait(streamKey: string, after: number, leftMs: number): Promise<void> {
    const untilMs = performance.now() + leftMs
    await this.limited(leftMs, async (signal) => {
      try {
        const connection = this.idle.pop() ?? (await this.connect(signal))
        await this.block(connection, streamKey, after, untilMs - performance.now() - marginMs, signal)
      } catch {
        if (!signal.aborted) await pause(pollMs, undefined, { signal }).catch(() => undefined)
      }
    })
    if (this.closed) throw closedError()
  }

  /** Ends all waits. */
  close(): void {
    this.closed = true
    for (const work of this.underWay) work.abort()
    for (const connection of this.open) this.drop(connection)
  }

  /** A dial may outlast the wait that needed it: the next one has its connection then. */
  private async connect(signal: AbortSignal): Promise<RedisConnection> {
    const onLost = (lost: RedisConnection): void => this.drop(lost)
    const dialling = this.limited(longestDialMs, (limit) => this.dial({ signal: limit, log: silentLogger, onLost }))
    void dialling.then((connection) => this.open.add(connection)).catch(() => undefined)
    try {
      return await untilAborted(dialling, signal)
    } catch (error) {
      if (signal.aborted) dialling.then((connection) => this.keep(connection)).catch(() => undefined)
      throw error
    }
  }

  private async block(
    connection: RedisConnection,
    streamKey: string,
    after: number,
    blockMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    // 0 would mean for ever.
    const block = String(Math.max(1, Math.floor(blockMs)))
    const command = ['XREAD', 'COUNT', '1', 'BLOCK', block, 'STREAMS', streamKey, `${after}-0`]
    try {
      await untilAborted(connection.send(command), signal)
      this.keep(connection)
    } catch (error) {
      // Late, broken, or refused: it may still block.
      this.drop(connection)
      throw error
    }
  }

  private async limited<T>(limitMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.closed) throw closedError()
    const limit = new AbortController()
    const timer = setTimeout(() => limit.abort(), limitMs)
    this.underWay.add(limit)
    try {
      return await work(limit.signal)
    } finally {
      clearTimeout(timer)
      this.underWay.delete(limit)
    }
  }

  private keep(connection: RedisConnection): void {
    if (!this.closed && this.open.has(connection) && this.idle.length < mostIdle) this.idle.push(connection)
    else this.drop(connection)
  }

  private drop(connection: RedisConnection): void {
    this.open.delete(connection)
    const at = this.idle.indexOf(connection)
    if (at !== -1) this.idle.splice(at, 1)
    connection.hangUp()
  }
}
