/**
 * The embedded store's server: a process of its own that the supervisor starts, reached over a Unix socket.
 *
 * Everything that arrives in one turn of the event loop is carried out, then written to the log by one write, then
 * answered: nothing is answered, reads included, before what it saw is in the kernel's hands.
 */

import { chmodSync, rmSync, statSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { FourfoldError, type ErrorCode } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import type { Effect } from './effects.ts'
import { frame, FrameReader } from './frames.ts'
import { takeGuard, type Guard } from './guard.ts'
import { StoreLog } from './log.ts'
import {
  isVolatile,
  machineMs,
  protocolVersion,
  type Answer,
  type Answers,
  type Batch,
  type Operation,
} from './operations.ts'
import { ParkedReads } from './parked.ts'
import { StoreState } from './state.ts'
import type { StreamAnswer } from './streams.ts'
import { VolatileValues } from './volatile.ts'

/** A client that does not take its answers is not read from beyond this. */
const maxUnsentBytes = 8 * 1024 * 1024
/** The least of what the systems take (macOS). */
const maxSocketPathBytes = 103
const sweepMs = 100
const keysPerSweep = 2000
/** How long answers may take to leave when the server ends. */
const lastWordsMs = 1000

export interface StoreServerOptions {
  readonly socketPath: string
  readonly logPath: string
  readonly log: Logger
  /** The log is compacted beyond this size and twice its last compacted size. Default: 8 MiB. */
  readonly compactBytes?: number
  /** How long another server that is about to end is waited for. Default: 3,000 ms. */
  readonly guardWaitMs?: number
  /** Called when the log cannot be written any more. The server has ended then, and the process should. */
  readonly onFailure?: (error: unknown) => void
}

export interface StoreServer {
  readonly incarnation: string
  /** Ends it: what was answered is on the disc. May be called twice. */
  stop(): Promise<void>
}

/**
 * Starts serving a log on a socket.
 *
 * @throws FF_STORE_LOCKED when another server owns the log or the socket, FF_STORE_LOG when the log is no log
 */
export async function startStoreServer(options: StoreServerOptions): Promise<StoreServer> {
  if (Buffer.byteLength(options.socketPath) > maxSocketPathBytes) {
    const message = `a socket's path may have ${maxSocketPathBytes} bytes, ${options.socketPath} has more; use a shorter data directory`
    throw socketError('FF_STORE_ADDRESS', message, options.socketPath)
  }
  const guard = await takeGuard({ path: options.logPath, waitMs: options.guardWaitMs ?? 3000, log: options.log })
  try {
    await removeStaleSocket(options.socketPath)
    return await new RunningServer(options, guard).listen()
  } catch (error) {
    guard.release()
    throw error
  }
}

interface Client {
  readonly socket: Socket
  readonly answers: Answers[]
}

class RunningServer implements StoreServer {
  private readonly options: StoreServerOptions
  private readonly guard: Guard
  private readonly state: StoreState
  private readonly storeLog: StoreLog
  private readonly values = new VolatileValues()
  private readonly server: Server
  private readonly clients = new Set<Client>()
  private readonly parked = new ParkedReads<Client>((operation) => this.state.execute(operation) as StreamAnswer)
  private effects: Effect[] = []
  private committing: NodeJS.Immediate | null = null
  private sweeping: NodeJS.Timeout | undefined
  private stopping: Promise<void> | null = null

  constructor(options: StoreServerOptions, guard: Guard) {
    this.options = options
    this.guard = guard
    this.state = new StoreState({ emit: (effect) => this.effects.push(effect) })
    this.storeLog = StoreLog.open({
      path: options.logPath,
      state: this.state,
      log: options.log,
      ...(options.compactBytes === undefined ? {} : { compactBytes: options.compactBytes }),
    })
    this.server = createServer((socket) => this.welcome(socket))
  }

  get incarnation(): string {
    return this.storeLog.incarnation
  }

  async listen(): Promise<this> {
    const listening = Promise.withResolvers<void>()
    this.server.once('error', listening.reject)
    this.server.listen(this.options.socketPath, listening.resolve)
    try {
      await listening.promise
    } catch (error) {
      this.storeLog.abandon()
      throw error
    }
    this.server.off('error', listening.reject)
    chmodSync(this.options.socketPath, 0o600)
    this.sweeping = setInterval(() => this.sweep(), sweepMs)
    return this
  }

  stop(): Promise<void> {
    if (this.stopping === null) {
      this.parked.releaseAll()
      this.commit()
    }
    // A commit that failed has begun the end already.
    this.stopping ??= this.end(() => this.storeLog.close())
    return this.stopping
  }

  private welcome(socket: Socket): void {
    const client: Client = { socket, answers: [] }
    const reader = new FrameReader()
    this.clients.add(client)
    socket.on('close', () => this.dismiss(client))
    socket.on('error', (error) => this.options.log.debug({ error }, 'a client of the store left'))
    socket.on('drain', () => socket.resume())
    socket.on('data', (chunk) => {
      try {
        for (const batch of reader.push(chunk)) this.take(client, batch as Batch)
      } catch (error) {
        this.options.log.error({ error }, 'a client of the store does not speak its language')
        socket.destroy()
      }
    })
    socket.write(frame(['fourfold-store', protocolVersion, this.incarnation]))
  }

  private dismiss(client: Client): void {
    this.clients.delete(client)
    this.parked.forget(client)
  }

  private sweep(): void {
    this.state.sweep(keysPerSweep)
    this.parked.lookAtAll()
  }

  private take(client: Client, [number, deadline, operations]: Batch): void {
    // Whoever sent this has given up on it: after a pause there may be thousands of these.
    if (deadline < machineMs() || this.stopping !== null) return
    const [first] = operations
    if (first?.[0] === 'followStream') {
      return this.parked.ask(client, first, (page) => this.reply(client, [number, [[true, page]]]))
    }
    this.values.beginAnswer()
    this.reply(client, [number, operations.map((operation) => this.answer(operation))])
  }

  /** With the next commit, so that nobody reads what is not in the log. */
  private reply(client: Client, answers: Answers): void {
    client.answers.push(answers)
    this.committing ??= setImmediate(() => this.commit())
  }

  private answer(operation: Operation): Answer {
    try {
      return [true, isVolatile(operation) ? this.values.execute(operation) : this.state.execute(operation)]
    } catch (error) {
      return [false, error instanceof Error ? error.message : String(error)]
    }
  }

  /** The group commit. The order of its two halves is what makes an acknowledgement a promise. */
  private commit(): void {
    this.parked.wake(this.effects)
    if (this.committing !== null) clearImmediate(this.committing)
    this.committing = null
    const effects = this.effects
    this.effects = []
    try {
      if (effects.length > 0) this.storeLog.append(effects)
    } catch (error) {
      return this.fail(error)
    }
    for (const client of this.clients) this.send(client)
  }

  private send({ socket, answers }: Client): void {
    if (answers.length === 0) return
    const frames = answers.splice(0).map((answer) => frame(answer))
    socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames))
    if (socket.writableLength > maxUnsentBytes) socket.pause()
  }

  private fail(error: unknown): void {
    this.options.log.error(
      { error, path: this.options.logPath },
      'the log of the store cannot be written; the store ends',
    )
    this.stopping ??= this.end(async () => this.storeLog.abandon())
    this.options.onFailure?.(error)
  }

  private async end(closeLog: () => Promise<void>): Promise<void> {
    clearInterval(this.sweeping)
    // Nobody is told of anything that may not be in the log.
    for (const client of this.clients) this.parked.forget(client)
    await closeLog().catch((error: unknown) =>
      this.options.log.error({ error }, 'the log of the store could not be closed'),
    )
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    for (const { socket } of this.clients) socket.destroySoon()
    // A client that stands still never takes its last answers.
    const cut = setTimeout(() => this.cutAll(), lastWordsMs)
    await closed
    clearTimeout(cut)
    this.guard.release()
  }

  private cutAll(): void {
    for (const { socket } of this.clients) socket.destroy()
  }
}

/** Takes away a socket that nobody listens on. The log's guard is held by now, so only a server of another log could. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket())
    throw socketError('FF_STORE_ADDRESS', `${path} is a file, not a socket; give another path`, path)
  if (await isListenedOn(path)) {
    const message = `another server listens on ${path}; stop it, or give this one another data directory`
    throw socketError('FF_STORE_LOCKED', message, path)
  }
  rmSync(path, { force: true })
}

/** A paused server still counts: the kernel accepts for it. */
function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path)
    const decide = (used: boolean): void => {
      probe.destroy()
      resolve(used)
    }
    probe.once('connect', () => decide(true))
    probe.once('error', (error: NodeJS.ErrnoException) =>
      decide(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
    probe.setTimeout(1000, () => decide(true))
  })
}

function socketError(code: ErrorCode, message: string, path: string): FourfoldError {
  return new FourfoldError(code, message, { fields: { path } })
}
