/**
 * Threads for jobs with `thread: true`. A thread that has opened the app is kept for the next job; one whose job did not
 * heed its signal, or that ran out of memory, is ended, and the next job gets a new one.
 */

import { Worker } from 'node:worker_threads'

import { FourfoldError, type ErrorCode } from '../core/errors.ts'
import { JobFailure } from '../jobs/define-job.ts'
import { processEntry } from './groups.ts'

import type { LogLevel } from '../core/log.ts'
import type { JobContext } from '../jobs/define-job.ts'
import type { AppOptions } from './config.ts'
import type { Connections } from './connections.ts'
import type { Build } from '../clones/build/snapshot.ts'

/** Plain data. */
export interface ThreadSettings {
  readonly appFile: string
  readonly build?: Build | undefined
  readonly buildId?: string | undefined
  readonly connections: Connections
  readonly config: AppOptions
  readonly logLevel: LogLevel
  readonly name: string
}

type PlainContext = Pick<JobContext<unknown>, 'input' | 'id' | 'attempt' | 'token' | 'owner'>

export type ToThread =
  | { readonly type: 'run'; readonly job: string; readonly context: PlainContext }
  /** Errors lose their own fields on the way. */
  | { readonly type: 'abort'; readonly code: ErrorCode; readonly message: string }
  | { readonly type: 'close' }

export type FromThread =
  | { readonly type: 'ready' }
  | { readonly type: 'progress'; readonly fraction: number; readonly message: string | undefined }
  /** JSON; null: none. */
  | { readonly type: 'done'; readonly output: string | null }
  | {
      readonly type: 'failed'
      readonly error: {
        readonly name: string
        readonly message: string
        readonly stack?: string
        readonly code?: string
      }
    }

export interface JobThreadsOptions {
  readonly settings: ThreadSettings
  /** How many at once. */
  readonly most: number
  readonly memoryBytes: number
}

/** Connections of each thread to each database. */
const poolSize = 2
const startsWithinMs = 30_000
const closesWithinMs = 2_000

export class JobThreads {
  readonly #options: JobThreadsOptions
  readonly #idle: Worker[] = []
  readonly #all = new Set<Worker>()
  readonly #waiting: (() => void)[] = []
  readonly #busy = new Map<string, Worker>()
  #closed = false

  constructor(options: JobThreadsOptions) {
    this.#options = options
  }

  /** Waits for a thread: the time of a job counts from when it has one. @throws FF_JOB_THREAD, the signal's reason */
  async reserve(context: Pick<JobContext<unknown>, 'id' | 'token' | 'signal'>): Promise<void> {
    const { signal } = context
    const thread = await this.#take(signal)
    if (signal.aborted) this.#give(thread)
    signal.throwIfAborted()
    this.#busy.set(nameOf(context), thread)
  }

  /** After {@link JobThreads.reserve}. @throws what the handler throws; FF_JOB_THREAD where its thread ended */
  async run(job: string, context: JobContext<unknown>): Promise<unknown> {
    const name = nameOf(context)
    const thread = this.#busy.get(name)!
    try {
      const output = await perform(thread, job, context)
      this.#give(thread)
      return output
    } catch (error) {
      if (error instanceof FourfoldError && error.code === 'FF_JOB_THREAD') this.#drop(thread)
      else this.#give(thread)
      throw error
    } finally {
      this.#busy.delete(name)
    }
  }

  /** Ends the thread of a job that does not come to an end. */
  kill(context: Pick<JobContext<unknown>, 'id' | 'token'>): void {
    const thread = this.#busy.get(nameOf(context))
    if (thread !== undefined) this.#drop(thread)
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const next of this.#waiting.splice(0)) next()
    await Promise.all([...this.#all].map((thread) => end(thread)))
  }

  async #take(signal: AbortSignal): Promise<Worker> {
    while (this.#idle.length === 0 && this.#all.size >= this.#options.most && !this.#closed) await this.#turn(signal)
    if (this.#closed) throw new FourfoldError('FF_CORE_CLOSED', 'The worker of jobs is closed')
    const known = this.#idle.pop()
    return known ?? (await this.#start())
  }

  /** Until a thread may be free. Who gives up leaves the turn to the next one. */
  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, resolve } = Promise.withResolvers<void>()
    const wake = (): void => resolve()
    this.#waiting.push(wake)
    signal.addEventListener('abort', wake, { once: true })
    await promise
    signal.removeEventListener('abort', wake)
    if (!signal.aborted) return
    const at = this.#waiting.indexOf(wake)
    if (at >= 0) this.#waiting.splice(at, 1)
    else this.#waiting.shift()?.()
    throw signal.reason
  }

  async #start(): Promise<Worker> {
    const { settings, memoryBytes } = this.#options
    const databases = Object.entries(settings.connections.databases).map(([name, found]) => [
      name,
      { ...found, poolSize },
    ])
    const connections = { ...settings.connections, databases: Object.fromEntries(databases) }
    const thread = new Worker(processEntry('job-thread'), {
      workerData: { ...settings, connections } satisfies ThreadSettings,
      resourceLimits: { maxOldGenerationSizeMb: Math.max(16, Math.floor(memoryBytes / 2 ** 20)) },
    })
    this.#all.add(thread)
    // What a job has left running may fail when nobody listens any more.
    thread.on('error', () => undefined)
    thread.once('exit', () => this.#all.has(thread) && this.#drop(thread))
    try {
      await answerOf(thread, (message) => message.type === 'ready', startsWithinMs)
      return thread
    } catch (error) {
      this.#drop(thread)
      throw error
    }
  }

  #give(thread: Worker): void {
    if (!this.#all.has(thread)) return
    this.#idle.push(thread)
    this.#waiting.shift()?.()
  }

  #drop(thread: Worker): void {
    this.#all.delete(thread)
    const at = this.#idle.indexOf(thread)
    if (at >= 0) this.#idle.splice(at, 1)
    void thread.terminate()
    this.#waiting.shift()?.()
  }
}

function nameOf({ id, token }: Pick<JobContext<unknown>, 'id' | 'token'>): string {
  return `${id} ${token}`
}

async function perform(thread: Worker, job: string, context: JobContext<unknown>): Promise<unknown> {
  const { input, id, attempt, token, owner, signal, progress } = context
  const abort = (): void => {
    const { code, message } = signal.reason as FourfoldError
    thread.postMessage({ type: 'abort', code, message } satisfies ToThread)
  }
  signal.addEventListener('abort', abort, { once: true })
  const hear = (message: FromThread): void => {
    if (message.type === 'progress') progress(message.fraction, message.message)
  }
  thread.on('message', hear)
  try {
    const answer = answerOf(thread, ({ type }) => type === 'done' || type === 'failed', null)
    thread.postMessage({ type: 'run', job, context: { input, id, attempt, token, owner } } satisfies ToThread)
    const message = (await answer) as FromThread & { type: 'done' | 'failed' }
    if (message.type === 'done') return message.output === null ? undefined : (JSON.parse(message.output) as unknown)
    throw errorOf(message.error)
  } finally {
    thread.off('message', hear)
    signal.removeEventListener('abort', abort)
  }
}

/** As it was thrown there, as far as anybody looks at it. */
function errorOf({ name, message, stack, code }: (FromThread & { type: 'failed' })['error']): Error {
  const error =
    name === 'JobFailure'
      ? new JobFailure(message)
      : name === 'FourfoldError'
        ? new FourfoldError(code as ErrorCode, message)
        : new Error(message)
  return Object.assign(error, { ...(stack !== undefined && { stack }), ...(code !== undefined && { code }) })
}

/** The first message that is an answer; rejects where the thread ends before. */
function answerOf(
  thread: Worker,
  isAnswer: (message: FromThread) => boolean,
  withinMs: number | null,
): Promise<FromThread> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined
    const settle = (work: () => void): void => {
      clearTimeout(timer)
      thread.off('message', hear)
      thread.off('error', fail)
      thread.off('exit', left)
      work()
    }
    const hear = (message: FromThread): void => {
      if (isAnswer(message)) settle(() => resolve(message))
    }
    const fail = (cause: Error & { code?: string }): void => settle(() => reject(threadError(cause)))
    const left = (): void => settle(() => reject(threadError(null)))
    if (withinMs !== null) timer = setTimeout(() => fail(new Error('it did not start in time')), withinMs)
    thread.on('message', hear)
    thread.on('error', fail)
    thread.on('exit', left)
  })
}

function threadError(cause: (Error & { code?: string }) | null): FourfoldError {
  const why =
    cause?.code === 'ERR_WORKER_OUT_OF_MEMORY'
      ? 'it needed more memory than workers.threadMemory'
      : (cause?.message ?? 'it was ended')
  return new FourfoldError('FF_JOB_THREAD', `The thread of the job ended: ${why}`, cause === null ? {} : { cause })
}

async function end(thread: Worker): Promise<void> {
  const left = new Promise<void>((resolve) => thread.once('exit', () => resolve()))
  thread.postMessage({ type: 'close' } satisfies ToThread)
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, closesWithinMs)
  })
  await Promise.race([left, late])
  clearTimeout(timer)
  await thread.terminate()
}
