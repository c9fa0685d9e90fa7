/**
 * One child process: spawned with an IPC channel, told when to stop, and killed if it does not. Knows nothing of what
 * the child does. The promises here never hang: `ready` has a deadline, and `stop` ends in SIGKILL.
 */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { FourfoldError } from '../core/errors.ts'
import { permissionArguments, type WritePolicy } from './permissions.ts'
import {
  isMessage,
  settingsVariable,
  type ChildMessage,
  type HealthMessage,
  type ParentMessage,
  type ReadyMessage,
} from './protocol.ts'

export interface ProcessSpec {
  /** Unique in its supervisor, for logs: `clone-2`. */
  readonly name: string
  readonly entry: URL
  /** Handed to the child as JSON in `FOURFOLD_PROCESS`. */
  readonly settings?: unknown
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Whether the child may write to the disc. Default: `'allow'`. */
  readonly writes?: WritePolicy
  /** More arguments for Node, such as `--max-old-space-size=256`. */
  readonly nodeArguments?: readonly string[]
  /** How long it may take to say it is ready. Default: 30,000. */
  readonly readyMs?: number
  /** How long it may take to stop before it is killed. Default: 10,000. */
  readonly graceMs?: number
  /** Where its output goes; `stderr`: all of it to this process's standard error. Default: `'inherit'`. */
  readonly output?: 'inherit' | 'ignore' | 'stderr'
}

export interface ProcessExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface RunningProcess {
  readonly name: string
  readonly pid: number
  /** Resolves when the child says it serves; rejects with FF_CLONES_START. */
  readonly ready: Promise<ReadyMessage>
  /** Resolves when the child is gone, however it went. Never rejects. */
  readonly exited: Promise<ProcessExit>
  /** Whether the message was handed to the channel. */
  send(message: ParentMessage): boolean
  /** Hears every message of the child; call the result to stop hearing. */
  listen(listener: (message: ChildMessage) => void): () => void
  /** The child's health, or null if it does not answer in time. */
  ping(withinMs: number): Promise<HealthMessage | null>
  /** SIGTERM, and SIGKILL when the grace is over. May be called twice. */
  stop(): Promise<ProcessExit>
  /** SIGKILL. */
  kill(): Promise<ProcessExit>
}

/** The arguments before the entry: sources run with the condition that resolves the package to its sources. */
export function nodeArgumentsFor(spec: ProcessSpec): string[] {
  const fromSource = spec.entry.pathname.endsWith('.ts') || import.meta.url.endsWith('.ts')
  return [
    ...(fromSource ? ['-C', 'fourfold:source'] : []),
    ...permissionArguments(spec.writes ?? 'allow'),
    ...(spec.nodeArguments ?? []),
  ]
}

/** Starts a child. Its failure to start shows in `ready`, never as a throw. */
export function startProcess(spec: ProcessSpec): RunningProcess {
  const output = spec.output === 'stderr' ? 2 : (spec.output ?? 'inherit')
  const child = spawn(process.execPath, [...nodeArgumentsFor(spec), fileURLToPath(spec.entry)], {
    env: { ...process.env, ...spec.env, [settingsVariable]: JSON.stringify(spec.settings ?? {}) },
    stdio: ['ignore', output, output, 'ipc'],
  })
  // A child that cannot be spawned, or whose channel breaks, reports here; `exited` and `ready` tell the story.
  child.on('error', () => undefined)
  const exited = waitForExit(child)
  const ready = waitForReady(child, spec, exited)
  ready.catch(() => undefined)
  let stopping: Promise<ProcessExit> | undefined
  let pings = 0

  const send = (message: ParentMessage): boolean => {
    if (!child.connected) return false
    child.send(message, () => undefined)
    return true
  }
  const listen = (listener: (message: ChildMessage) => void): (() => void) => {
    const hear = (message: unknown): void => {
      if (isMessage(message)) listener(message as ChildMessage)
    }
    child.on('message', hear)
    return () => void child.off('message', hear)
  }
  return {
    name: spec.name,
    pid: child.pid ?? -1,
    ready,
    exited,
    send,
    listen,
    ping: (withinMs) => {
      const id = (pings += 1)
      if (!send({ type: 'ping', id })) return Promise.resolve(null)
      return waitForHealth(listen, exited, id, withinMs)
    },
    stop: () => (stopping ??= stopGently(child, exited, spec.graceMs ?? 10_000)),
    kill: () => {
      child.kill('SIGKILL')
      return exited
    },
  }
}

function waitForExit(child: ChildProcess): Promise<ProcessExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    child.once('error', () => {
      if (child.pid === undefined) resolve({ code: null, signal: null })
    })
  })
}

function waitForReady(child: ChildProcess, spec: ProcessSpec, exited: Promise<ProcessExit>): Promise<ReadyMessage> {
  const readyMs = spec.readyMs ?? 30_000
  return new Promise((resolve, reject) => {
    const fail = (what: string, code?: string): void => {
      finish()
      const message = `${spec.name} did not start: ${what}`
      reject(new FourfoldError('FF_CLONES_START', message, { fields: { name: spec.name, code } }))
    }
    const hear = (message: unknown): void => {
      if (!isMessage(message)) return
      const known = message as ChildMessage
      if (known.type === 'failed') fail(known.message, known.code)
      if (known.type !== 'ready') return
      finish()
      resolve(known)
    }
    const timer = setTimeout(() => fail(`it was not ready within ${readyMs} ms`), readyMs)
    const finish = (): void => {
      clearTimeout(timer)
      child.off('message', hear)
    }
    child.on('message', hear)
    void exited.then(({ code, signal }) => fail(`it ended with ${signal ?? `code ${code}`} before it was ready`))
  })
}

function waitForHealth(
  listen: RunningProcess['listen'],
  exited: Promise<ProcessExit>,
  id: number,
  withinMs: number,
): Promise<HealthMessage | null> {
  return new Promise((resolve) => {
    const finish = (health: HealthMessage | null): void => {
      clearTimeout(timer)
      forget()
      resolve(health)
    }
    const forget = listen((message) => {
      if (message.type === 'health' && message.id === id) finish(message)
    })
    // A late timer of a supervisor that was itself held up must not win over an answer that already lies in the channel.
    const timer = setTimeout(() => setImmediate(() => finish(null)), withinMs)
    void exited.then(() => finish(null))
  })
}

async function stopGently(child: ChildProcess, exited: Promise<ProcessExit>, graceMs: number): Promise<ProcessExit> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return exited
  // A process that takes requests hears the message; one that speaks no protocol, the signal.
  if (child.connected) child.send({ type: 'stop' }, () => undefined)
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs)
  try {
    const exit = await exited
    if (child.connected) await once(child, 'disconnect')
    return exit
  } finally {
    clearTimeout(timer)
  }
}
