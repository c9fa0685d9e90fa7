/**
 * Starts the parts of a process in the order in which they need each other, and stops them in reverse.
 *
 * - A part starts as soon as all parts that it comes after have started; independent parts start side by side.
 * - When one fails to start, those that did start are stopped, and `start` rejects with the failure.
 * - `stop` may be called at any time and more than once. Each stop has a deadline, and one that fails or is late is
 *   logged and does not keep the others from stopping.
 */

import { withDeadline } from './deadline.ts'
import { FourfoldError } from './errors.ts'
import type { Logger } from './log.ts'

export interface LifecyclePart {
  readonly start?: () => Promise<void> | void
  readonly stop?: () => Promise<void> | void
  /** Parts that must have started before this one, and that stop after it. */
  readonly after?: readonly string[]
  /** How long this part's stop may take. Default: the lifecycle's. */
  readonly stopDeadlineMs?: number
}

export interface Lifecycle {
  /** Adds a part. Only before `start`. */
  add(name: string, part: LifecyclePart): void
  start(): Promise<void>
  stop(): Promise<void>
}

export interface LifecycleOptions {
  readonly log: Logger
  /** Default: 10,000. */
  readonly stopDeadlineMs?: number
}

/**
 * Makes an empty lifecycle.
 *
 * @throws FF_CORE_LIFECYCLE (from `add` and `start`) for a name used twice, an unknown `after`, a circle, or a
 * part added too late
 */
export function createLifecycle({ log, stopDeadlineMs = 10_000 }: LifecycleOptions): Lifecycle {
  const parts = new Map<string, LifecyclePart>()
  const starting = new Map<string, Promise<void>>()
  const started: string[] = []
  let startCall: Promise<void> | undefined
  let stopCall: Promise<void> | undefined

  async function startPart(name: string, part: LifecyclePart): Promise<void> {
    await Promise.all((part.after ?? []).map((earlier) => starting.get(earlier) ?? Promise.resolve()))
    if (stopCall !== undefined) throw new FourfoldError('FF_CORE_CLOSED', `${name} was not started: stopping`)
    await part.start?.()
    started.push(name)
  }

  async function startAll(): Promise<void> {
    for (const name of sortParts(parts)) {
      const promise = startPart(name, parts.get(name) ?? {})
      promise.catch(() => undefined)
      starting.set(name, promise)
    }
    const failure = (await Promise.allSettled(starting.values())).find((result) => result.status === 'rejected')
    if (failure === undefined) return
    await stopStarted()
    throw failure.reason
  }

  async function stopStarted(): Promise<void> {
    for (let name = started.pop(); name !== undefined; name = started.pop()) {
      const part = parts.get(name)
      try {
        const work = async (): Promise<void> => part?.stop?.()
        await withDeadline(work, part?.stopDeadlineMs ?? stopDeadlineMs, `${name} to stop`)
      } catch (error) {
        log.error({ error, part: name }, `${name} did not stop cleanly`)
      }
    }
  }

  return {
    add(name, part) {
      if (startCall !== undefined) throw misuse(`${name}: parts are added before start`)
      if (parts.has(name)) throw misuse(`${name}: there is a part of this name already`)
      parts.set(name, part)
    },
    start: () => (startCall ??= startAll()),
    stop: () =>
      (stopCall ??= (async () => {
        await Promise.allSettled(starting.values())
        await startCall?.catch(() => undefined)
        await stopStarted()
      })()),
  }
}

export interface SignalOptions {
  readonly log: Logger
  /** What a clean stop consists of; the process exits when it resolves. */
  readonly stop: () => Promise<void>
  /** Ends the process. Default: `process.exit`. */
  readonly exit?: (code: number) => void
  /** A signal that comes so soon after the first is the same one, passed on by a package runner. Default: 200. */
  readonly sameWithinMs?: number
}

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Stops cleanly at the first SIGINT, SIGTERM or SIGHUP (the terminal was closed) and at once at the second; not at a
 * second SIGHUP, which shells send beside the system's own. Answers how to take the handlers away.
 */
export function stopOnSignals(options: SignalOptions): () => void {
  const { log, stop, exit = (code) => process.exit(code), sameWithinMs = 200 } = options
  let stoppingSince: number | null = null
  const handle = (signal: NodeJS.Signals): void => {
    if (stoppingSince !== null) {
      if (signal !== 'SIGHUP' && performance.now() - stoppingSince >= sameWithinMs) exit(130)
      return
    }
    stoppingSince = performance.now()
    if (signal === 'SIGHUP') outliveTerminal()
    log.info({ signal }, 'stopping; once more to stop at once')
    stop().then(
      () => exit(0),
      (error: unknown) => {
        log.error({ error }, 'did not stop cleanly')
        exit(1)
      },
    )
  }
  for (const signal of stopSignals) process.on(signal, handle)
  return () => {
    for (const signal of stopSignals) process.off(signal, handle)
  }
}

/** What is written to a terminal that is gone fails; that must not cut the stop short. */
function outliveTerminal(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
}

/** Names in an order in which every part stands behind those it comes after. */
function sortParts(parts: ReadonlyMap<string, LifecyclePart>): readonly string[] {
  const sorted = new Set<string>()
  const visit = (name: string, path: readonly string[]): void => {
    if (sorted.has(name)) return
    if (path.includes(name)) throw misuse(`parts wait for each other in a circle: ${[...path, name].join(' → ')}`)
    const part = parts.get(name)
    if (part === undefined) throw misuse(`${path.at(-1)} comes after ${name}, and there is no such part`)
    for (const earlier of part.after ?? []) visit(earlier, [...path, name])
    sorted.add(name)
  }
  for (const name of parts.keys()) visit(name, [])
  return [...sorted]
}

function misuse(message: string): FourfoldError {
  return new FourfoldError('FF_CORE_LIFECYCLE', message)
}
