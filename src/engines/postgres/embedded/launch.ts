/**
 * Starting one server process and waiting until it answers.
 *
 * The server is its own session, so that a Ctrl-C in the terminal does not reach it before the app has drained. A
 * shell beside it holds the other end of a pipe of ours: when this process dies, however it dies, the shell sees the
 * pipe close and asks the server to stop (SIGINT: a fast, clean shutdown).
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { open, readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

import { FourfoldError } from '../../../core/errors.ts'
import type { Account } from './account.ts'

export interface LaunchOptions {
  readonly postgres: string
  readonly arguments: readonly string[]
  readonly data: string
  /** The path of its Unix socket. */
  readonly socket: string
  readonly log: string
  readonly account: Account | null
}

export interface RunningServer {
  readonly pid: number
  /** Resolves when the process is gone. */
  readonly exited: Promise<void>
  /** A clean stop; by force where that takes too long (then the next start recovers from the log). */
  stop(): Promise<void>
}

// The watching shell is a grandchild: the server would wonder about a child it did not start.
const script = `( ( read -r _ <&3 || kill -INT $$ ) & ) ; exec "$@" 3<&-`

/** Crash recovery can have a lot to replay. */
const startDeadlineMs = 60_000

/** Starts a server and waits until it takes connections. @throws FF_ENGINE_START with its last log lines */
export async function launchServer(options: LaunchOptions): Promise<RunningServer> {
  const log = await openLog(options.log)
  const child = spawn('/bin/sh', ['-c', script, 'sh', options.postgres, ...options.arguments], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.fd, log.fd, 'pipe'],
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
    ...options.account,
  })
  const server = watch(child)
  await log.close()
  try {
    await untilReady(server, options)
    return server
  } catch (error) {
    await server.stop()
    throw error
  }
}

function watch(child: ChildProcess): RunningServer {
  const lifeline = child.stdio[3] as Writable
  // The shell may be gone already; then there is nobody to tell.
  lifeline.on('error', () => undefined)
  const exited = new Promise<void>((resolve) => {
    const over = (): void => {
      // A line, and not the end, lets the shell go without a signal to a number that may be another process by now.
      lifeline.end('over\n')
      resolve()
    }
    child.once('exit', over)
    child.once('error', over)
  })
  return { pid: child.pid ?? 0, exited, stop: () => stop(child, exited) }
}

async function stop(child: ChildProcess, exited: Promise<void>): Promise<void> {
  const escalation: readonly [NodeJS.Signals, number][] = [
    ['SIGINT', 6_000],
    ['SIGQUIT', 3_000],
    ['SIGKILL', 3_000],
  ]
  for (const [name, patienceMs] of escalation) {
    if (child.exitCode !== null || child.signalCode !== null) break
    child.kill('SIGCONT')
    child.kill(name)
    const timer = new AbortController()
    await Promise.race([exited, delay(patienceMs, undefined, { signal: timer.signal }).catch(() => undefined)])
    timer.abort()
  }
}

/** The server writes its state into its lock file; asking there costs it nothing, unlike connections that it refuses. */
async function untilReady(server: RunningServer, options: LaunchOptions): Promise<void> {
  let gone = false
  void server.exited.then(() => (gone = true))
  const end = performance.now() + startDeadlineMs
  for (;;) {
    const lines = (await readFile(join(options.data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
    if (Number(lines[0]) === server.pid && lines[7]?.trim() === 'ready') return
    if (gone || performance.now() > end) break
    await delay(10)
  }
  const what = gone ? 'ended while starting' : `was not ready after ${startDeadlineMs / 1000} s`
  throw new FourfoldError(
    'FF_ENGINE_START',
    `The embedded PostgreSQL in ${options.data} ${what}:\n${await lastLines(options.log)}`,
    {
      fields: { data: options.data, log: options.log },
    },
  )
}

const largestLog = 5_000_000

async function openLog(path: string): Promise<{ fd: number; close(): Promise<void> }> {
  const size = await stat(path).then(
    (found) => found.size,
    () => 0,
  )
  if (size > largestLog) await rename(path, `${path}.1`)
  return open(path, 'a')
}

async function lastLines(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.trimEnd().split('\n').slice(-8).join('\n')
}
