/**
 * The servers that tests and benchmarks need and npm does not bring: Redis or Valkey, memcached, and a browser (and S3, in
 * `s3-service.ts`). What is installed is used;
 * where this may install (root on Debian, or CI) Debian's package is installed; elsewhere the error says what to do.
 * A server started here listens on a free port of the loopback, keeps no data and is stopped by its caller.
 *
 * `node scripts/services.ts` prepares the machine and starts nothing.
 */

import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const redisNames = ['valkey-server', 'redis-server']
/** Chromium without the parts that only a screen needs: the same pages at less than half the CPU. */
const headlessName = 'chromium-headless-shell'
const browserNames = ['chromium', 'chromium-browser', 'google-chrome']
const installMs = 180_000
const startMs = 10_000

const memcachedAdvice =
  'No memcached on the PATH. Install it: "apt-get install memcached" (Debian, Ubuntu), "brew install memcached" (macOS).'
const advice =
  'No redis-server or valkey-server on the PATH. Install one: "apt-get install redis-server" (Debian, Ubuntu), ' +
  '"dnf install valkey" (Fedora), "brew install valkey" (macOS).'

export interface CacheService {
  readonly url: string
  readonly port: number
  /** The server's process, for tests that kill or pause it. */
  readonly child: ChildProcess
  stop(): Promise<void>
}

export type RedisService = CacheService

export interface RedisServiceOptions {
  /** Default: a free one. */
  readonly port?: number
  /** More of the server's arguments: `['--cluster-enabled', 'yes']`. */
  readonly args?: readonly string[]
}

/**
 * The server's program, installed where that is allowed. In CI a missing server is an error; elsewhere the answer is
 * null and a loud line, and tests skip.
 */
export async function findRedis(): Promise<string | null> {
  const found = onPath(redisNames) ?? (await install('redis-server', redisNames))
  if (found !== null) return found
  if (process.env['CI'] !== undefined) throw new Error(`${advice} In CI this is an error.`)
  console.error(`\n!!! SKIPPING everything that needs Redis. ${advice}\n`)
  return null
}

/** A Chromium for the tests of pages, installed where that is allowed. Throws what to install when there is none. */
export async function ensureBrowser(): Promise<string> {
  const headless = process.env['CHROMIUM'] ?? (await findProgram(headlessName, [headlessName]))
  const program = headless ?? (await findProgram('chromium', browserNames))
  if (program !== null) return program
  throw new Error('No browser: install chromium ("apt-get install chromium"), or name one by CHROMIUM')
}

/** Another program by its names and Debian's package, for benchmarks: installed where that is allowed. Null: not there. */
export async function findProgram(packageName: string, programs: readonly string[]): Promise<string | null> {
  return onPath(programs) ?? (await install(packageName, programs))
}

/** Starts a server that keeps nothing, and resolves when it answers. Throws what to install when there is none. */
export async function ensureRedis(options: RedisServiceOptions = {}): Promise<RedisService> {
  const program = await findRedis()
  if (program === null) throw new Error(advice)
  const port = options.port ?? (await freePort())
  // For what it writes after all: a cluster's nodes.conf, a replica's copy.
  const directory = await mkdtemp(join(tmpdir(), 'ff-redis-'))
  const child = spawn(program, [...settings(port), ...(options.args ?? [])], { stdio: 'ignore', cwd: directory })
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await rm(directory, { recursive: true, force: true })
  }
  try {
    await answering(port, child, 'PING\r\n', '+PONG')
  } catch (error) {
    await stop()
    throw error
  }
  return { url: `redis://127.0.0.1:${port}`, port, child, stop }
}

/** As {@link findRedis}, of memcached. */
export async function findMemcached(): Promise<string | null> {
  const found = await findProgram('memcached', ['memcached'])
  if (found !== null) return found
  if (process.env['CI'] !== undefined) throw new Error(`${memcachedAdvice} In CI this is an error.`)
  console.error(`\n!!! SKIPPING everything that needs memcached. ${memcachedAdvice}\n`)
  return null
}

/** As {@link ensureRedis}, of memcached. */
export async function ensureMemcached(options: RedisServiceOptions = {}): Promise<CacheService> {
  const program = await findMemcached()
  if (program === null) throw new Error(memcachedAdvice)
  const port = options.port ?? (await freePort())
  // It refuses to run as root unless it is told as whom to.
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const args = ['-l', '127.0.0.1', '-p', String(port), '-U', '0', '-t', '1', ...user, ...(options.args ?? [])]
  const child = spawn(program, args, { stdio: 'ignore' })
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  try {
    await answering(port, child, 'version\r\n', 'VERSION')
  } catch (error) {
    await stop()
    throw error
  }
  return { url: `memcached://127.0.0.1:${port}`, port, child, stop }
}

/** Loopback only, nothing kept; replicas, where a test makes one, follow at once. */
function settings(port: number): readonly string[] {
  const network = ['--port', String(port), '--bind', '127.0.0.1', '--protected-mode', 'no']
  const replication = ['--repl-diskless-sync', 'yes', '--repl-diskless-sync-delay', '0']
  return [...network, '--save', '', '--appendonly', 'no', ...replication]
}

function onPath(names: readonly string[]): string | null {
  const directories = [
    ...(process.env['PATH'] ?? '').split(delimiter),
    '/usr/local/bin',
    '/usr/bin',
    '/usr/sbin',
    '/opt/homebrew/bin',
  ]
  for (const name of names) {
    const program = directories.map((directory) => join(directory, name)).find(isProgram)
    if (program !== undefined) return program
  }
  return null
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Debian's package, as root or (in CI) through sudo without a password. */
async function install(name: string, programs: readonly string[]): Promise<string | null> {
  const root = process.getuid?.() === 0
  if (!existsSync('/etc/debian_version') || (!root && process.env['CI'] === undefined)) return null
  console.error(`Installing ${name} with apt-get …`)
  // Asks nothing, and starts no server of the package's own. Given on the command line, since sudo drops the environment.
  const command = ['DEBIAN_FRONTEND=noninteractive', 'RUNLEVEL=1', 'apt-get']
  const [program, first] = root ? ['env', command] : ['sudo', ['-n', 'env', ...command]]
  const apt = (...args: string[]): Promise<unknown> => run(program, [...first, ...args], { timeout: installMs })
  try {
    // Another test file may be installing something at this moment; it is waited for.
    // Lists are often absent in containers; fetching them takes long, so they are fetched only when they are missed.
    const packageArgs = ['install', '-y', '-q', '-o', 'DPkg::Lock::Timeout=120', '--no-install-recommends', name]
    await apt(...packageArgs).catch(() => apt('update', '-q').then(() => apt(...packageArgs)))
  } catch (error) {
    console.error(`apt-get failed: ${error instanceof Error ? error.message : String(error)}`)
  }
  return onPath(programs)
}

/** A port of the loopback that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address')
  return address.port
}

async function answering(port: number, child: ChildProcess, question: string, answer: string): Promise<void> {
  const deadline = performance.now() + startMs
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with ${child.exitCode} before it answered`)
    if (await answers(port, question, answer)) return
    await pause(10)
  }
  throw new Error(`${child.spawnfile} did not answer within ${startMs} ms`)
}

function answers(port: number, question: string, expected: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(question))
    const decide = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('data', (data) => decide(data.toString().startsWith(expected)))
    socket.once('error', () => decide(false))
    socket.once('close', () => decide(false))
    socket.setTimeout(1000, () => decide(false))
  })
}

if (import.meta.main) {
  const program = await findRedis()
  if (program !== null) console.log(`Redis: ${program}`)
  const memcached = await findMemcached()
  if (memcached !== null) console.log(`memcached: ${memcached}`)
  // Not waited for here: that module waits for this one.
  void import('./s3-service.ts').then(async ({ hasS3 }) => {
    if (await hasS3()) console.log('S3: OpenStack Swift')
  })
}
