/** An app on several hosts: a store, balancers, clones and a client, each on a host of its own. */

import { type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { findRedis } from '../../../scripts/services.ts'
import { askSystem } from '../../../src/app/control-client.ts'
import { waitFor } from '../wait-for.ts'
import { Network } from './network.ts'

import type { Asked, ClientCommand } from './client.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const command = join(root, 'src/cli/main.ts')
const startsWithinMs = 90_000
const commandMs = 60_000
const stopsWithinMs = 30_000

export const secret = 'a secret of these hosts with at least thirty-two characters'

export interface HostStatus {
  readonly host: string
  readonly build: string
  readonly clones: readonly { readonly id: string; readonly state: string; readonly pid: number }[]
}

type Asking<T> = T extends unknown ? Omit<T, 'id'> : never

export class HostsSystem {
  readonly network = new Network()
  readonly #directory: string
  readonly #file: string
  readonly #hosts = new Map<string, ChildProcess>()
  readonly #said = new Map<string, string>()
  readonly #commands = new Set<ChildProcess>()
  #store: ChildProcess | null = null
  #client: ChildProcess | null = null
  #asked = 0

  constructor(directory: string) {
    this.#directory = directory
    this.#file = join(directory, 'carried-out')
  }

  async makeHosts(names: readonly string[]): Promise<void> {
    await writeFile(this.#file, '')
    await this.network.make([...names, 'store', 'client'])
    await Promise.all([this.startStore(), this.#startClient()])
  }

  async startStore(): Promise<void> {
    const program = await findRedis()
    if (program === null) throw new Error('there is no Redis')
    const { address } = this.network.host('store')
    const settings = ['--bind', address, '--protected-mode', 'no', '--save', '', '--appendonly', 'no']
    const child = this.network.spawn('store', program, settings, { stdio: ['ignore', 'pipe', 'ignore'] })
    this.#store = child
    let said = ''
    child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()))
    await waitFor('the store', () => /Ready to accept connections/i.test(said))
  }

  async killStore(): Promise<void> {
    this.#store?.kill('SIGKILL')
    if (this.#store !== null) await once(this.#store, 'exit')
  }

  /** A folder with the app as of some build. */
  async install(build: number): Promise<string> {
    const folder = join(this.#directory, `app-${build}`)
    await cp(join(import.meta.dirname, 'app'), folder, { recursive: true })
    await writeFile(join(folder, 'build.ts'), `export const build = ${build}\n`)
    await mkdir(join(folder, 'node_modules'))
    await symlink(root, join(folder, 'node_modules', 'fourfold'))
    await writeFile(join(folder, 'package.json'), '{ "type": "module", "private": true }')
    return join(folder, 'app.ts')
  }

  /** Starts a host's part; resolves when it says that it runs. */
  async start(name: string, role: 'balancer' | 'clones', appFile: string, clones = 1): Promise<void> {
    const { address } = this.network.host(name)
    const count = role === 'clones' ? ['--clones', String(clones)] : []
    const words = ['start', appFile, '--role', role, '--data', this.dataOf(name), ...count]
    const child = this.network.spawn(name, process.execPath, ['-C', 'fourfold:source', command, ...words], {
      env: { ...this.#environment(), FOURFOLD_CLONES_HOST: address, FOURFOLD_BALANCER_HOST: address },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#hosts.set(name, child)
    this.#said.set(name, '')
    const hear = (chunk: Buffer): void => void this.#said.set(name, `${this.said(name)}${chunk.toString()}`)
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    const ready = (): boolean => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`${name} ended with ${child.exitCode}:\n${this.said(name)}`)
      return this.said(name).includes('Ctrl-C stops this host')
    }
    await waitFor(`${name} to start`, ready, startsWithinMs)
  }

  said(name: string): string {
    return this.#said.get(name) ?? ''
  }

  supervisor(name: string): ChildProcess {
    const child = this.#hosts.get(name)
    if (child === undefined) throw new Error(`nothing was started on ${name}`)
    return child
  }

  /** Stops a host's part as an operator does. */
  async stop(name: string): Promise<void> {
    const child = this.supervisor(name)
    child.kill('SIGTERM')
    const ended = (): boolean => child.exitCode !== null || child.signalCode !== null
    await waitFor(`${name} to stop; it said ${this.said(name)}`, ended, stopsWithinMs)
  }

  dataOf(name: string): string {
    return join(this.#directory, `data-${name}`)
  }

  url(name: string): string {
    return `http://${this.network.host(name).address}:8080`
  }

  async host(name: string): Promise<HostStatus> {
    return (await askSystem({ dataDir: this.dataOf(name), command: 'host', silenceMs: 10_000 })) as HostStatus
  }

  async scale(name: string, clones: number): Promise<void> {
    await askSystem({ dataDir: this.dataOf(name), command: 'scale', input: { clones }, silenceMs: commandMs })
  }

  /** The processes that a supervisor has started, by the note in its data directory. */
  async pids(name: string): Promise<number[]> {
    const note = JSON.parse(await readFile(join(this.dataOf(name), 'system.json'), 'utf8')) as {
      processes: { pid: number }[]
    }
    return note.processes.map(({ pid }) => pid)
  }

  /** Runs a command on a host; resolves and rejects with what it says, which `hear` is told as it comes. */
  async run(name: string, words: readonly string[], hear?: (said: string) => void): Promise<string> {
    const args = ['-C', 'fourfold:source', command, ...words]
    const child = this.network.spawn(name, process.execPath, args, {
      env: this.#environment(),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#commands.add(child)
    let said = ''
    const listen = (chunk: Buffer): void => {
      said += chunk.toString()
      hear?.(said)
    }
    child.stdout?.on('data', listen)
    child.stderr?.on('data', listen)
    const timer = setTimeout(() => child.kill('SIGKILL'), commandMs)
    await once(child, 'close')
    clearTimeout(timer)
    this.#commands.delete(child)
    if (child.exitCode === 0) return said
    throw new Error(`${words.join(' ')} ended with ${child.exitCode ?? child.signalCode}: ${said}`)
  }

  /** Kills the commands that run, as a closed terminal or a crash would. */
  killCommands(): void {
    for (const child of this.#commands) child.kill('SIGKILL')
  }

  async ask(url: string, method = 'GET', headers: object = {}): Promise<Asked> {
    return (await this.#tell({ type: 'ask', url, method, headers })) as Asked
  }

  async beginLoad(urls: readonly string[], prefix: string, clients = 8): Promise<void> {
    await this.#tell({ type: 'load', urls, clients, prefix })
  }

  async loadCount(): Promise<number> {
    return (await this.#tell({ type: 'count' })) as number
  }

  async endLoad(): Promise<Asked[]> {
    return (await this.#tell({ type: 'end' })) as Asked[]
  }

  /** What the app carried out, in order: method, path, process. */
  async carriedOut(): Promise<string[]> {
    return (await readFile(this.#file, 'utf8')).split('\n').filter((line) => line !== '')
  }

  async close(): Promise<void> {
    await this.network.close()
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      HOSTS_APP_FILE: this.#file,
      FOURFOLD_SECRETS: secret,
      FOURFOLD_STORE_URL: `redis://${this.network.host('store').address}:6379`,
      FOURFOLD_CLONES_MAX: '4',
      // What was sent into a line that is cut is given up while a test watches.
      FOURFOLD_BALANCER_REQUEST_TIMEOUT: '5s',
      FOURFOLD_LOG_LEVEL: 'warn',
    }
  }

  async #startClient(): Promise<void> {
    const file = fileURLToPath(new URL('client.ts', import.meta.url))
    const child = this.network.spawn('client', process.execPath, [file], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#client = child
    await once(child, 'message')
  }

  #tell(asking: Asking<ClientCommand>): Promise<unknown> {
    const client = this.#client
    if (client === null) throw new Error('there is no client')
    const id = (this.#asked += 1)
    return new Promise((resolve) => {
      const hear = (message: unknown): void => {
        const answer = message as { id: number; result: unknown }
        if (answer.id !== id) return
        client.off('message', hear)
        resolve(answer.result)
      }
      client.on('message', hear)
      client.send({ ...asking, id })
    })
  }
}
