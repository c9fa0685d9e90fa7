/**
 * Several hosts on one machine: network namespaces, each with an address of its own, joined by a bridge in a namespace
 * that is only the switch. Nothing of it can be seen from outside; whatever ran in a namespace ends before it is deleted.
 */

import { execFile, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { promisify } from 'node:util'

import { findProgram } from '../../../scripts/services.ts'

const run = promisify(execFile)
const commandMs = 15_000
const mayNot = 'Network namespaces need root on Linux, and iproute2.'

export interface NetHost {
  readonly name: string
  readonly address: string
  /** Of its namespace. */
  readonly space: string
}

/** Whether namespaces can be made here. In CI it is an error when they cannot; elsewhere a loud line, and tests skip. */
export async function canMakeNetworks(): Promise<boolean> {
  const reason = await whyNot()
  if (reason === null) return true
  if (process.env['CI'] !== undefined) throw new Error(`${mayNot} In CI this is an error: ${reason}`)
  console.error(`\n!!! SKIPPING everything that needs several hosts. ${mayNot} ${reason}\n`)
  return false
}

async function whyNot(): Promise<string | null> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'this is not root on Linux'
  if ((await findProgram('iproute2', ['ip'])) === null) return 'there is no program "ip"'
  const name = `ff-try-${randomBytes(3).toString('hex')}`
  try {
    await run('ip', ['netns', 'add', name], { timeout: commandMs })
    await run('ip', ['netns', 'del', name], { timeout: commandMs })
    return null
  } catch (error) {
    return String(error)
  }
}

export class Network {
  /** Names who made it: what a killed test left is found by the next one. */
  readonly #mark = `${process.pid}-${randomBytes(2).toString('hex')}`
  readonly #switch = `ff-${this.#mark}-switch`
  readonly #hosts = new Map<string, NetHost>()
  readonly #children = new Set<ChildProcess>()

  /** Makes the hosts. The caller closes the network, also after a failure. */
  async make(names: readonly string[]): Promise<void> {
    await removeAbandoned()
    await this.#ip('netns', 'add', this.#switch)
    await this.#ip('-n', this.#switch, 'link', 'add', 'bridge', 'type', 'bridge')
    await this.#ip('-n', this.#switch, 'link', 'set', 'bridge', 'up')
    for (const [index, name] of names.entries()) await this.#makeHost(name, `10.86.7.${index + 10}`)
  }

  host(name: string): NetHost {
    const host = this.#hosts.get(name)
    if (host === undefined) throw new Error(`there is no host ${name}`)
    return host
  }

  /** Starts a program on a host. It is killed when the network is closed, if it runs then. */
  spawn(name: string, program: string, args: readonly string[], options: SpawnOptions = {}): ChildProcess {
    // `ip` becomes the program: the child's number is the program's.
    const child = spawn('ip', ['netns', 'exec', this.host(name).space, program, ...args], options)
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return child
  }

  /** Pulls the host's cable: nothing comes or goes, and nobody is told. */
  async cut(name: string): Promise<void> {
    await this.#ip('-n', this.#switch, 'link', 'set', portOf(name), 'down')
  }

  async mend(name: string): Promise<void> {
    await this.#ip('-n', this.#switch, 'link', 'set', portOf(name), 'up')
  }

  /** What `from` sends to `to` gets lost; everything else arrives. */
  async lose(from: string, to: string): Promise<void> {
    await this.#neighbour(from, 'replace', to, 'lladdr', '02:00:00:00:00:99', 'nud', 'permanent')
  }

  async deliver(from: string, to: string): Promise<void> {
    await this.#neighbour(from, 'del', to)
  }

  async close(): Promise<void> {
    for (const child of this.#children) {
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    }
    const spaces = [...[...this.#hosts.values()].map(({ space }) => space), this.#switch]
    for (const space of spaces) await remove(space)
  }

  async #makeHost(name: string, address: string): Promise<void> {
    const space = `ff-${this.#mark}-${name}`
    await this.#ip('netns', 'add', space)
    this.#hosts.set(name, { name, address, space })
    const peer = ['peer', 'name', 'eth0', 'netns', space]
    await this.#ip('-n', this.#switch, 'link', 'add', portOf(name), 'type', 'veth', ...peer)
    await this.#ip('-n', this.#switch, 'link', 'set', portOf(name), 'master', 'bridge', 'up')
    await this.#ip('-n', space, 'link', 'set', 'lo', 'up')
    await this.#ip('-n', space, 'link', 'set', 'eth0', 'up')
    await this.#ip('-n', space, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
  }

  async #neighbour(from: string, verb: string, to: string, ...words: string[]): Promise<void> {
    await this.#ip('-n', this.host(from).space, 'neigh', verb, this.host(to).address, ...words, 'dev', 'eth0')
  }

  async #ip(...words: string[]): Promise<void> {
    await run('ip', words, { timeout: commandMs })
  }
}

/** A namespace, and whatever runs in it: children of children too, such as the clones of a supervisor that was killed. */
async function remove(space: string): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'pids', space], { timeout: commandMs }).catch(() => ({ stdout: '' }))
  for (const pid of stdout.split('\n').filter((line) => line !== '')) endProcess(Number(pid))
  await run('ip', ['netns', 'del', space], { timeout: commandMs }).catch(() => undefined)
}

async function removeAbandoned(): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'list'], { timeout: commandMs })
  for (const space of stdout.match(/^ff-\d+-[\da-f]{4}-\w+/gm) ?? []) {
    if (!isAlive(Number(space.split('-')[1]))) await remove(space)
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Names of devices have at most 15 characters. */
function portOf(name: string): string {
  return `p-${name}`
}

function endProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It ended by itself.
  }
}
