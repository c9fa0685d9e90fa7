/**
 * The system under test and what an operator does with it: an installed app in a folder of its own, `fourfold start`,
 * `fourfold rollout` and `fourfold scale` as commands, signals to processes.
 */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { waitFor } from '../../support/wait-for.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const command = join(root, 'src/cli/main.ts')
const startsWithinMs = 90_000
const stopsWithinMs = 20_000
/** For these, connections are kept. */
const mostClones = 5

export interface Finished {
  readonly code: number | null
  readonly output: string
}

export interface CloneStatus {
  readonly id: string
  readonly state: string
  readonly buildId: string
  readonly pid: number
}

export interface Status {
  readonly admission: { readonly current: { readonly id: string; readonly ordinal: number }; readonly share: number }
  readonly takenBack: string | null
  readonly clones: readonly CloneStatus[]
  readonly quarantined: readonly { readonly id: string }[]
  readonly quarantinedSinceStart: number
}

export interface Edit {
  readonly failing?: boolean
  readonly starts?: boolean
}

export class System {
  readonly app: string
  readonly data: string
  readonly #env: Readonly<Record<string, string>>
  #child: ChildProcess | null = null
  #said = ''
  url = ''

  /** @param directory an empty one */
  constructor(directory: string, env: Readonly<Record<string, string>> = {}) {
    this.app = join(directory, 'app')
    this.data = join(directory, 'data')
    this.#env = env
  }

  /** Puts the app where an install would: its packages beside it. */
  async install(): Promise<void> {
    await cp(join(import.meta.dirname, 'app'), this.app, { recursive: true })
    await mkdir(join(this.app, 'node_modules'))
    await symlink(root, join(this.app, 'node_modules', 'fourfold'))
    await writeFile(join(this.app, 'package.json'), '{ "type": "module", "private": true }')
  }

  /** Changes the app's files in place, under the feet of the clones that run. */
  async edit(build: number, { failing = false, starts = true }: Edit = {}): Promise<void> {
    const lines = Object.entries({ build, failing, starts }).map(([name, value]) => `export const ${name} = ${value}\n`)
    await writeFile(join(this.app, 'build.ts'), lines.join(''))
  }

  async start(clones: number): Promise<void> {
    const words = ['start', join(this.app, 'app.ts'), '--data', this.data, '--port', '0']
    const child = this.#run(words, { FOURFOLD_CLONES_MIN: String(clones), FOURFOLD_CLONES_MAX: String(mostClones) })
    this.#child = child
    this.#said = ''
    const ready = await waitFor(
      'the system to start',
      () => {
        if (child.exitCode !== null) throw new Error(`the start ended with ${child.exitCode}:\n${this.#said}`)
        return /(http:\/\/\S+)\s+ready/.exec(this.#said)
      },
      startsWithinMs,
    )
    this.url = ready[1] ?? ''
  }

  rollout(words: readonly string[] = []): Promise<Finished> {
    return this.#finish(['rollout', join(this.app, 'app.ts'), '--data', this.data, ...words])
  }

  async scale(clones: number): Promise<void> {
    const { code, output } = await this.#finish([
      'scale',
      join(this.app, 'app.ts'),
      '--data',
      this.data,
      '--clones',
      String(clones),
    ])
    if (code !== 0) throw new Error(`scale ended with ${code}: ${output}`)
  }

  async status(): Promise<Status> {
    const { askSystem } = await import('../../../src/app/control-client.ts')
    return (await askSystem({ dataDir: this.data, command: 'status', silenceMs: 5000 })) as Status
  }

  /** What stands in the database: the id of every write, as often as it was carried out. */
  async stored(): Promise<string[]> {
    return (await (await fetch(`${this.url}/posts`)).json()) as string[]
  }

  /** The process of a kind, as the system's note names it. */
  async pidOf(kind: string): Promise<number> {
    const note = JSON.parse(await readFile(join(this.data, 'system.json'), 'utf8')) as {
      processes: { name: string; pid: number }[]
    }
    return note.processes.find(({ name }) => name.startsWith(kind))?.pid ?? Number.NaN
  }

  /** Resolves when a rollout has moved so many readers. */
  async waitForShare(share: number): Promise<void> {
    await waitFor('the readers to be moved', async () => (await this.status()).admission.share >= share, startsWithinMs)
  }

  /** What the system has logged. */
  get said(): string {
    return this.#said
  }

  /** SIGKILL to the supervisor; resolves when it is gone. */
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
    child.kill('SIGINT')
    await ended
    clearTimeout(timer)
    this.#child = null
  }

  #run(words: readonly string[], more: Readonly<Record<string, string>> = {}): ChildProcess {
    const env = { ...process.env, FOURFOLD_LOG_LEVEL: 'warn', ...this.#env, ...more }
    const child = spawn(process.execPath, ['-C', 'fourfold:source', command, ...words], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const hear = (chunk: Buffer): void => {
      this.#said += chunk.toString()
      if (process.env['VERIFY_LOG'] !== undefined) process.stderr.write(chunk)
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    return child
  }

  async #finish(words: readonly string[]): Promise<Finished> {
    const child = this.#run(words)
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => (output += chunk.toString()))
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, output }
  }
}
