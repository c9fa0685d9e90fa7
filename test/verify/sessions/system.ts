/**
 * The system under test: the command `fourfold start` in a process of its own, as an operator runs it. The harness
 * starts it, sends it HTTP requests and signals, and sees its processes only as the operating system shows them.
 */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'

import { waitFor } from '../../support/wait-for.ts'
import { childProcesses, processTitle } from './processes.ts'

export interface SystemOptions {
  /** The app's data directory. */
  readonly data: string
  readonly clones: number
  readonly port: number
  readonly env: Readonly<Record<string, string>>
  /** Hears what the system says. */
  readonly hear?: (text: string) => void
  /** The file that defines the app. Default: the app of `sessions`. */
  readonly app?: string
}

/** A shell beside the command hears when the harness dies, and then stops the system. */
const endWithHarness = `( ( read -r _ <&3 || kill -INT $$ ) & ) ; exec "$@" 3<&-`

const startsWithinMs = 60_000
const stopsWithinMs = 20_000
const command = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url))
const sessionsApp = fileURLToPath(new URL('app.ts', import.meta.url))

export class System {
  readonly url: string
  /** What starts that failed have said. */
  readonly failedStarts: string[] = []
  readonly #options: SystemOptions
  #env: Readonly<Record<string, string>> = {}
  #child: ChildProcess | null = null

  constructor(options: SystemOptions) {
    this.#options = options
    this.url = `http://127.0.0.1:${options.port}`
  }

  /** Starts it as it was started before, with these changes to the environment; resolves when it says it is ready. */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#env = { ...this.#env, ...env }
    const deadline = performance.now() + startsWithinMs
    for (;;) {
      const failure = await this.#run()
      if (failure === null) return
      // A service manager would try again too; the result counts these.
      this.failedStarts.push(failure)
      if (performance.now() > deadline) throw new Error(`the system does not start:\n${failure}`)
    }
  }

  /** SIGKILL to the supervisor; resolves when that process is gone. What it had started is its own affair. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child === null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    this.#child = null
  }

  /** Ctrl-C, and SIGKILL where that takes too long. */
  async stop(): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    const timer = setTimeout(() => child.kill('SIGKILL'), stopsWithinMs)
    child.kill('SIGCONT')
    child.kill('SIGINT')
    await ended
    clearTimeout(timer)
    this.#child = null
  }

  get supervisor(): number {
    return this.#child?.pid ?? -1
  }

  /** The processes of one kind that live now. */
  processes(kind: 'clone' | 'store' | 'balancer' | 'tracker' | 'worker'): number[] {
    return childProcesses(this.supervisor)
      .map(({ pid }) => pid)
      .filter((pid) => processTitle(pid).includes(`/processes/${kind}.`))
  }

  /** Runs the command until it is ready, and answers null, or until it ends, and answers what it said. */
  async #run(): Promise<string | null> {
    const { data, clones, port, env, app = sessionsApp } = this.#options
    const words = ['start', app, '--data', data, '--port', String(port), '--clones', String(clones)]
    const line = ['-C', 'fourfold:source', command, ...words]
    const child = spawn('/bin/sh', ['-c', endWithHarness, 'sh', process.execPath, ...line], {
      env: { ...process.env, FOURFOLD_LOG_LEVEL: process.env['VERIFY_LOG'] ?? 'error', ...env, ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      // A Ctrl-C in the terminal is for the harness, which then stops the system.
      detached: true,
    })
    this.#child = child
    const lifeline = child.stdio[3] as Writable
    lifeline.on('error', () => undefined)
    child.once('exit', () => lifeline.end('over\n'))
    let said = ''
    const listen = (chunk: Buffer): void => {
      if (process.env['VERIFY_LOG'] !== undefined) process.stderr.write(chunk)
      said = `${said}${chunk.toString()}`.slice(-4_000)
      this.#options.hear?.(chunk.toString())
    }
    child.stdout?.on('data', listen)
    child.stderr?.on('data', listen)
    const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null
    await waitFor('the system to start', () => hasEnded() || /\sready in\s/.test(said), startsWithinMs)
    return hasEnded() ? said : null
  }
}

/** A port that was free a moment ago. */
export async function findPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address')
  server.close()
  await once(server, 'close')
  return address.port
}
