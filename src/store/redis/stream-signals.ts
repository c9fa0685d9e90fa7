/**
 * Tells when an entry was added to a stream: a blocking read on a connection of its own, since it holds up all others
 * on its connection. What comes with it is the page itself where it follows on what the reader has; where it does not,
 * it is a signal and no more, and what there is to read is asked on the ordinary connection.
 *
 * A connection is opened when somebody first waits, one for each wait at a time, and kept for the next. One that
 * breaks, or cannot be had, ends the wait early: whoever asks then on the ordinary connection hears what is wrong.
 */

import { setTimeout as pause } from 'node:timers/promises'

import { silentLogger } from '../../core/log.ts'
import type { DialOptions } from '../caller.ts'
import { closedError } from '../link.ts'
import { untilAborted, type RedisConnection } from './connection.ts'

import type { StreamEntry, StreamPage } from '../store.ts'

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

  /** Whether a wait begins on a connection that has been there since the last one: to the same server. */
  get steady(): boolean {
    return this.idle.length > 0
  }

  /**
   * Resolves when an entry behind `after` is there, after `leftMs` at the latest: with the page, if it is all there is
   * and follows on `after`. Rejects only when it is closed.
   *
   * @param limit entries at most; a page with as many may not be all there is
   */
  async wait(streamKey: string, after: number, leftMs: number, limit: number): Promise<StreamPage | null> {
    const untilMs = performance.now() + leftMs
    const page = await this.limited(leftMs, async (signal) => {
      try {
        const connection = this.idle.pop() ?? (await this.connect(signal))
        const blockMs = untilMs - performance.now() - marginMs
        const reply = await this.block(connection, streamKey, after, { blockMs, limit, signal })
        return pageOf(entriesIn(reply), after, limit)
      } catch {
        if (!signal.aborted) await pause(pollMs, undefined, { signal }).catch(() => undefined)
        return null
      }
    })
    if (this.closed) throw closedError()
    return page
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
    { blockMs, limit, signal }: { readonly blockMs: number; readonly limit: number; readonly signal: AbortSignal },
  ): Promise<unknown> {
    // 0 would mean for ever.
    const block = String(Math.max(1, Math.floor(blockMs)))
    const count = String(Math.max(1, limit))
    const command = ['XREAD', 'COUNT', count, 'BLOCK', block, 'STREAMS', streamKey, `${after}-0`]
    try {
      const reply = await untilAborted(connection.send<unknown>(command), signal)
      this.keep(connection)
      return reply
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

type RawEntry = readonly [id: Buffer, fields: readonly Buffer[]]

/** Of the only stream that was asked for; none where the time was over. */
function entriesIn(reply: unknown): readonly StreamEntry[] {
  if (!Array.isArray(reply)) return []
  // A list of streams, or a map of them one behind the other: as the version of the protocol has it.
  const [first] = reply as unknown[]
  const entries = (Array.isArray(first) ? first[1] : reply[1]) as readonly RawEntry[]
  return entries.map(([id, fields]) => ({ number: Number(id.toString().split('-')[0]), value: fields[1]! }))
}

/** Null where there may be more, or something is missing before it. */
function pageOf(entries: readonly StreamEntry[], after: number, limit: number): StreamPage | null {
  const last = entries.at(-1)
  if (last === undefined || entries.length >= limit || entries[0]!.number !== after + 1) return null
  return { entries, last: last.number, gap: false }
}
