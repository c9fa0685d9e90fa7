/** The harness's end of the system process: starts it, asks it, kills it. */

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'

import { waitFor } from '../../support/wait-for.ts'
import { childProcesses } from './processes.ts'

import type { CloneChange, SystemProcesses, SystemSettings } from './system.ts'

interface Answer {
  readonly id?: number
  readonly result?: unknown
  readonly error?: string
  readonly clones?: SystemProcesses['clones']
  readonly ready?: boolean
}

const startMs = 60_000
const commandMs = 60_000

export class SystemHandle {
  /** The clones that can be asked now. */
  clones: SystemProcesses['clones'] = []
  readonly #settings: SystemSettings
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #child: ChildProcess | null = null
  #nextId = 1

  constructor(settings: SystemSettings) {
    this.#settings = settings
  }

  /** Starts the system; resolves when every clone serves. */
  async start(): Promise<void> {
    const child = fork(new URL('system.ts', import.meta.url), {
      execArgv: ['-C', 'fourfold:source'],
      env: { ...process.env, VERIFY_SYSTEM: JSON.stringify(this.#settings) },
    })
    this.#child = child
    child.on('message', (message) => this.#hear(message as Answer))
    const ready = new Promise<void>((resolve, reject) => {
      child.on('message', (message) => (message as Answer).ready === true && resolve())
      child.once('exit', (code, signal) =>
        reject(new Error(`the system ended with ${signal ?? code} before it was ready`)),
      )
      setTimeout(() => reject(new Error('the system did not start in time')), startMs).unref()
    })
    await ready
  }

  async processes(): Promise<SystemProcesses> {
    return (await this.#ask('processes')) as SystemProcesses
  }

  /** Replaces the clones, one after the other, by ones with this change. */
  async change(change: CloneChange): Promise<void> {
    await this.#ask('change', change)
  }

  async delayReplica(index: number, ms: number): Promise<void> {
    await this.#ask('delay', { index, ms })
  }

  async failOver(): Promise<void> {
    await this.#ask('failOver')
  }

  /** SIGKILL to the supervising process; resolves when all that it had started is gone too. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child?.pid === undefined) return
    const { clones, store } = await this.processes()
    child.kill('SIGKILL')
    await once(child, 'exit')
    this.clones = []
    const children = [...clones.map(({ pid }) => pid), store]
    await waitFor('the processes of a killed supervisor to end', () => children.every((pid) => !isAlive(pid)), 10_000)
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    await this.#ask('stop').catch(() => child.kill('SIGKILL'))
    await ended
    this.#child = null
  }

  #hear(answer: Answer): void {
    if (answer.clones !== undefined) this.clones = answer.clones
    if (answer.id !== undefined) this.#waiting.get(answer.id)?.(answer)
  }

  #ask(command: string, argument?: unknown): Promise<unknown> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the system did not answer to ${command}`)), commandMs)
      this.#waiting.set(id, ({ result, error }) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        if (error === undefined) resolve(result)
        else reject(new Error(error))
      })
      this.#child?.send({ id, command, argument })
    })
  }
}

/** Whether a process runs; one that has ended and was not collected yet does not. */
function isAlive(pid: number): boolean {
  return childProcesses(1).some((entry) => entry.pid === pid)
}
