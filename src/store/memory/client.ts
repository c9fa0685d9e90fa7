/**
 * The client of the embedded store. One batch is under way at a time, in one write; operations that come meanwhile make
 * up the next. So an idle process waits for nobody, and a busy one asks the fewer times, which is what a store in another
 * process costs. A batch has one deadline, from its first operation on, kept by a timer of this process: a server that
 * is paused costs a caller the deadline and no more.
 *
 * Nothing is queued for a server that is away: a batch may wait for a reconnect within its deadline, and when the
 * server has been away for longer than that, it is refused at once. When a connection breaks, operations that may be
 * repeated are sent again within their deadline; the others are rejected, their outcome is unknown.
 *
 * A read that waits is a batch of its own, beside the one under way: nothing waits for it, and its deadline is later. So is
 * a large value, since a batch is one frame.
 */

import { connect, type Socket } from 'node:net'
import { FourfoldError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { closedError, createLink, type Link } from '../link.ts'
import { frame, FrameReader, maxFrameBytes } from './frames.ts'
import { isRepeatable, machineMs, protocolVersion, type Answers, type Hello, type Operation } from './operations.ts'
import type { Transport } from './transport.ts'

export interface SocketTransportOptions {
  readonly socketPath: string
  readonly deadlineMs: number
  readonly log: Logger
}

/** Operations on an embedded store's server. */
export function createSocketTransport(options: SocketTransportOptions): Transport {
  return new SocketTransport(options)
}

/** Less than any sensible deadline, more than a store that answers takes. */
const longestGatheringMs = 10
const largeBytes = 64 * 1024

interface Pending extends PromiseWithResolvers<unknown> {
  readonly operation: Operation
}

interface PendingBatch {
  readonly number: number
  /** Whether it is one operation that no other waits for. */
  readonly alone: boolean
  readonly startedMs: number
  readonly deadline: number
  operations: Pending[]
  readonly timer: NodeJS.Timeout
  /** The connection it was sent on, and what had come on that by then. */
  sentOn: Connection | null
  receivedThen: number
}

interface Connection {
  readonly socket: Socket
  readonly incarnation: string
  received: number
}

class SocketTransport implements Transport {
  private readonly options: SocketTransportOptions
  private readonly link: Link<Connection>
  private readonly batches = new Map<number, PendingBatch>()
  /** What goes next. */
  private gathering: PendingBatch | null = null
  private scheduled = false
  private lastNumber = 0
  private closing: Promise<void> | null = null

  constructor(options: SocketTransportOptions) {
    this.options = options
    this.link = createLink({
      address: `unix:${options.socketPath}`,
      graceMs: options.deadlineMs,
      log: options.log,
      dial: (signal) => this.dial(signal),
      hangUp: ({ socket }) => socket.destroy(),
    })
  }

  execute(operation: Operation): Promise<unknown> {
    if (this.closing !== null) return Promise.reject(closedError())
    const pending: Pending = { operation, ...Promise.withResolvers<unknown>() }
    if (operation[0] === 'followStream') return this.executeAlone(pending, Math.max(0, operation[4] - machineMs()))
    if (operation[0] === 'tierSet' && operation[2].length > largeBytes) return this.executeAlone(pending, 0)
    const batch = this.gatheringNow()
    batch.operations.push(pending)
    return pending.promise
  }

  incarnation(): string | Promise<string> {
    if (this.closing !== null) return Promise.reject(closedError())
    return this.link.current?.incarnation ?? this.nextIncarnation()
  }

  /** Lets what is under way come to its end, which its deadline bounds; what waits is told at once. */
  close(): Promise<void> {
    this.closing ??= this.finish()
    return this.closing
  }

  /** Without a connection, a round trip brings the hello, and the deadline with it. */
  private async nextIncarnation(): Promise<string> {
    await this.execute(['ping'])
    return (await this.link.wait()).incarnation
  }

  private async finish(): Promise<void> {
    for (const batch of this.batches.values()) if (isFollowing(batch)) this.reject(batch, closedError())
    const batches = [...this.batches.values(), ...(this.gathering === null ? [] : [this.gathering])]
    const underWay = batches.flatMap((batch) => batch.operations)
    await Promise.allSettled(underWay.map((pending) => pending.promise))
    this.link.close()
  }

  /** The batch to join. One that has waited for long goes without waiting, so that who joins has a whole deadline. */
  private gatheringNow(): PendingBatch {
    const { gathering } = this
    if (gathering === null) return (this.gathering = this.startGathering())
    if (performance.now() - gathering.startedMs <= longestGatheringMs) return gathering
    this.begin(gathering)
    return (this.gathering = this.startGathering())
  }

  private startGathering(): PendingBatch {
    this.schedule()
    return this.startBatch(this.options.deadlineMs, false)
  }

  private executeAlone(pending: Pending, waitMs: number): Promise<unknown> {
    const batch = this.startBatch(this.options.deadlineMs + waitMs, true)
    batch.operations.push(pending)
    this.begin(batch)
    return pending.promise
  }

  private startBatch(deadlineMs: number, alone: boolean): PendingBatch {
    const batch: PendingBatch = {
      number: (this.lastNumber += 1),
      alone,
      startedMs: performance.now(),
      deadline: machineMs() + deadlineMs,
      operations: [],
      timer: setTimeout(() => this.expireUnlessAnswered(batch, deadlineMs), deadlineMs),
      sentOn: null,
      receivedThen: 0,
    }
    return batch
  }

  /** Sends what is gathered at the end of this turn of the event loop, unless a batch is under way then. */
  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    setImmediate(() => this.dispatch())
  }

  private dispatch(): void {
    this.scheduled = false
    if (this.gathering === null || this.isBusy()) return
    const batch = this.gathering
    this.gathering = null
    this.begin(batch)
  }

  private isBusy(): boolean {
    for (const batch of this.batches.values()) if (!batch.alone) return true
    return false
  }

  private begin(batch: PendingBatch): void {
    this.batches.set(batch.number, batch)
    this.send(batch)
  }

  /** A batch is over. */
  private end(batch: PendingBatch): void {
    clearTimeout(batch.timer)
    this.batches.delete(batch.number)
    if (this.gathering === batch) this.gathering = null
    if (this.gathering !== null) this.schedule()
  }

  private send(batch: PendingBatch): void {
    const connection = this.link.current
    if (connection === null) {
      this.link.wait().then(
        () => this.batches.has(batch.number) && this.send(batch),
        (error: unknown) => this.reject(batch, error),
      )
      return
    }
    const bytes = frame([batch.number, batch.deadline, batch.operations.map(({ operation }) => operation)])
    if (bytes.length > maxFrameBytes) return this.reject(batch, tooLarge(bytes.length))
    batch.sentOn = connection
    batch.receivedThen = connection.received
    connection.socket.write(bytes)
  }

  /** Where this process itself stood still, the answer may be here and not read yet: it is, before an immediate comes. */
  private expireUnlessAnswered(batch: PendingBatch, deadlineMs: number): void {
    setImmediate(() => {
      if (this.gathering === batch || this.batches.get(batch.number) === batch) this.expire(batch, deadlineMs)
    })
  }

  private expire(batch: PendingBatch, deadlineMs: number): void {
    const { socketPath } = this.options
    const message = `the store at unix:${socketPath} did not answer within ${deadlineMs} ms; whether the operation took place is unknown`
    const refused = batch.sentOn === null && this.link.refused
    this.reject(
      batch,
      refused ? this.link.absence() : new FourfoldError('FF_STORE_DEADLINE', message, { fields: { deadlineMs } }),
    )
    const connection = batch.sentOn
    if (connection === null || connection.received !== batch.receivedThen) return
    // Not a word since: what is written to it would only pile up. The next connection shows when it is back.
    this.lose(connection, new Error(`nothing came for ${deadlineMs} ms`))
  }

  private reject(batch: PendingBatch, error: unknown): void {
    this.end(batch)
    for (const pending of batch.operations) pending.reject(error)
  }

  private receive(connection: Connection, [number, answers]: Answers): void {
    connection.received += 1
    const batch = this.batches.get(number)
    // Answered too late, or on a connection that was given up.
    if (batch === undefined || batch.sentOn !== connection) return
    this.end(batch)
    batch.operations.forEach((pending, index) => {
      const answer = answers[index] ?? [false, 'the answer is missing']
      if (answer[0]) pending.resolve(answer[1])
      else pending.reject(new FourfoldError('FF_STORE_ANSWER', `the store refused an operation: ${answer[1]}`))
    })
  }

  private lose(connection: Connection, reason: unknown): void {
    this.link.lost(connection, reason)
    for (const batch of this.batches.values()) if (batch.sentOn === connection) this.resend(batch, reason)
  }

  private resend(batch: PendingBatch, cause: unknown): void {
    const message = 'the store closed the connection before it answered; whether the operation took place is unknown'
    const error = new FourfoldError('FF_STORE_UNAVAILABLE', message, { cause })
    for (const pending of batch.operations) if (!isRepeatable(pending.operation)) pending.reject(error)
    batch.operations = batch.operations.filter(({ operation }) => isRepeatable(operation))
    batch.sentOn = null
    if (batch.operations.length === 0) return this.reject(batch, error)
    this.send(batch)
  }

  private dial(signal: AbortSignal): Promise<Connection> {
    const dialled = Promise.withResolvers<Connection>()
    const socket = connect(this.options.socketPath)
    const reader = new FrameReader()
    let connection: Connection | null = null
    const end = (reason: unknown): void => {
      socket.destroy()
      dialled.reject(reason)
      if (connection !== null) this.lose(connection, reason)
    }
    const abort = (): void => end(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    socket.once('error', end)
    socket.once('close', () => end(new Error('the connection was closed')))
    socket.on('data', (chunk) => {
      try {
        for (const value of reader.push(chunk)) {
          if (connection !== null) {
            this.receive(connection, value as Answers)
            continue
          }
          connection = { socket, incarnation: readHello(value), received: 0 }
          signal.removeEventListener('abort', abort)
          dialled.resolve(connection)
        }
      } catch (error) {
        end(error)
      }
    })
    return dialled.promise
  }
}

function readHello(value: unknown): string {
  const [name, version, incarnation] = value as Hello
  if (name === 'fourfold-store' && version === protocolVersion) return incarnation
  throw new FourfoldError(
    'FF_STORE_ADDRESS',
    `the server speaks ${String(name)} ${version}, this client fourfold-store ${protocolVersion}`,
  )
}

function isFollowing({ operations }: PendingBatch): boolean {
  return operations[0]?.operation[0] === 'followStream'
}

function tooLarge(bytes: number): FourfoldError {
  return new FourfoldError(
    'FF_STORE_ARGUMENT',
    `operations of one tick may have ${maxFrameBytes} bytes together; got ${bytes}`,
  )
}
