/**
 * The child's side of the clone protocol. A child lives no longer than its supervisor: when the channel closes, however
 * the supervisor went, the child gets a moment to close and then exits.
 */

import type { Server } from 'node:http'
import { isFourfoldError } from '../core/errors.ts'
import type { Logger } from '../core/log.ts'
import { explainAccessDenied, watchWrites, type WritePolicy } from './permissions.ts'
import { isMessage, settingsVariable, type ChildMessage, type ListenAddress, type ParentMessage } from './protocol.ts'

export interface ParentOptions {
  /** Finishes what was begun and closes. Called once, at SIGTERM, `stop`, or when the supervisor is gone. */
  readonly stop: () => Promise<void>
  /** Hears messages that are this kind of process's own. */
  readonly onMessage?: (message: ParentMessage) => void
  /** How long `stop` may take when the supervisor is gone. Default: 700. */
  readonly orphanMs?: number
  /**
   * A process that takes requests does not stop at a SIGTERM of somebody else: it says so and goes on for up to this
   * long, until the supervisor has taken it out. Default: it stops.
   */
  readonly leaveMs?: number
}

export interface Parent {
  send(message: ChildMessage): void
  /** Stops this process as SIGTERM would. */
  stop(): void
}

/** The settings the supervisor handed to this process. */
export function readSettings<T>(env: NodeJS.ProcessEnv = process.env): T {
  return JSON.parse(env[settingsVariable] ?? '{}') as T
}

/** Answers the supervisor's pings and ends this process when it is told to, or when the supervisor is gone. */
export function watchParent(options: ParentOptions): Parent {
  const send = (message: ChildMessage): void => {
    // A channel that breaks while we write is the supervisor's end; `disconnect` handles it.
    if (process.connected) process.send?.(message, undefined, {}, () => undefined)
  }
  let stopping = false
  const stop = (exitCode: number, withinMs: number | null): void => {
    if (withinMs !== null) setTimeout(() => process.exit(exitCode), withinMs)
    if (stopping) return
    stopping = true
    options.stop().then(
      () => process.exit(exitCode),
      () => process.exit(1),
    )
  }
  process.on('message', (message: unknown) => {
    if (!isMessage(message)) return
    const known = message as ParentMessage
    if (known.type === 'ping')
      send({
        type: 'health',
        id: known.id,
        rssBytes: process.memoryUsage.rss(),
        uptimeMs: Math.round(process.uptime() * 1000),
      })
    else if (known.type === 'stop') stop(0, null)
    else options.onMessage?.(known)
  })
  let leaving = false
  process.on('SIGTERM', () => {
    if (options.leaveMs === undefined || !process.connected) return stop(0, null)
    if (leaving) return
    leaving = true
    send({ type: 'leaving' })
    setTimeout(() => stop(0, null), options.leaveMs).unref()
  })
  // Ctrl-C in a terminal, and its end, reach the whole group; in which order processes stop, the supervisor chooses.
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined)
  process.once('disconnect', () => stop(1, options.orphanMs ?? 700))
  // A supervisor that went before this line would otherwise never be missed.
  if (process.send !== undefined && !process.connected) stop(1, options.orphanMs ?? 700)
  return { send, stop: () => stop(0, null) }
}

/** What a clone's listener is to the supervisor. */
export interface CloneListener {
  readonly address: ListenAddress
  readonly buildId?: string
  /** Stops listening and resolves when every request in flight is answered. */
  close(): Promise<void>
}

export interface ServeCloneOptions {
  /** Opens the app and listens, on 127.0.0.1 and a port of the system's choice. */
  readonly listen: () => Promise<CloneListener>
  /** The policy this process was started with, so that its refusals are logged by file. */
  readonly writes?: WritePolicy
  readonly log: Logger
}

/** A replacement has to start and this clone to be drained; a supervisor that does neither is hung. */
const longestLeaveMs = 60_000

/** The whole life of a clone: listen, say so, serve until told to stop. A failure to listen ends the process. */
export async function serveClone(options: ServeCloneOptions): Promise<void> {
  const stopWatching = watchWrites(options.writes ?? 'allow', options.log)
  let listener: CloneListener | undefined
  const parent = watchParent({
    stop: async () => {
      await listener?.close()
      stopWatching()
    },
    leaveMs: longestLeaveMs,
  })
  process.on('uncaughtExceptionMonitor', (error: unknown) => logExplained(error, options.log))
  try {
    listener = await options.listen()
    parent.send({ type: 'ready', address: listener.address, buildId: listener.buildId ?? '' })
  } catch (error) {
    await failToStart(explainAccessDenied(error) ?? error, options.log)
  }
}

/** Says why this process cannot serve, and ends it. */
export async function failToStart(error: unknown, log: Logger): Promise<never> {
  const message = error instanceof Error ? error.message : String(error)
  log.error({ error }, `cannot start: ${message}`)
  const failed: ChildMessage = { type: 'failed', code: isFourfoldError(error) ? error.code : 'UNKNOWN', message }
  if (process.connected) await new Promise<void>((resolve) => process.send?.(failed, undefined, {}, () => resolve()))
  process.exit(1)
}

function logExplained(error: unknown, log: Logger): void {
  const explained = explainAccessDenied(error)
  if (explained !== null) log.error({ error: explained }, explained.message)
}

/** Listens with a node:http server on loopback, on a port of the system's choice. */
export async function listenOnLoopback(server: Server): Promise<CloneListener> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address')
  return {
    address: { host: address.address, port: address.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeIdleConnections()
      }),
  }
}
