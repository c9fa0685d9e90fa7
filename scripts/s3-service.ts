/**
 * A server that speaks S3, for tests and benchmarks: OpenStack Swift from Debian, with its S3 interface, on free ports of
 * the loopback. One node and one copy of everything, in a directory that goes when it stops.
 */

import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { findProgram, freePort } from './services.ts'

export interface S3Service {
  readonly endpoint: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** The server's processes, for tests that pause them. */
  readonly children: readonly ChildProcess[]
  stop(): Promise<void>
}

const run = promisify(execFile)
const startMs = 90_000
const storage = ['account', 'container', 'object'] as const
const advice =
  'No OpenStack Swift here. Install it: "apt-get install swift-proxy swift-account swift-container swift-object"'

/** Whether there is a server, installed where that is allowed. In CI a missing one is an error; elsewhere a loud line. */
export async function hasS3(): Promise<boolean> {
  for (const name of ['proxy', ...storage]) {
    const found = await findProgram(`swift-${name}`, [`swift-${name}-server`])
    if (found !== null) continue
    if (process.env['CI'] !== undefined) throw new Error(`${advice} In CI this is an error.`)
    console.error(`\n!!! SKIPPING everything that needs an S3 server. ${advice}\n`)
    return false
  }
  return true
}

/** Starts a server without buckets, and resolves when it answers. */
export async function ensureS3(): Promise<S3Service> {
  if (!(await hasS3())) throw new Error(advice)
  const directory = await mkdtemp(join(tmpdir(), 'ff-s3-'))
  const children: ChildProcess[] = []
  const stop = async (): Promise<void> => {
    const running = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
    for (const child of running) child.kill('SIGKILL')
    await Promise.all(running.map((child) => once(child, 'exit')))
    await rm(directory, { recursive: true, force: true })
  }
  try {
    const ports = await configure(directory)
    for (const name of [...storage, 'proxy']) children.push(startServer(directory, name))
    // A server that is asked before it listens counts as broken for a while.
    await Promise.all(ports.map((port) => answering(port, children)))
    const endpoint = `http://127.0.0.1:${ports.at(-1)}`
    return { endpoint, accessKeyId: 'test:tester', secretAccessKey: 'testing', children, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function startServer(directory: string, name: string): ChildProcess {
  return spawn(`swift-${name}-server`, [join(directory, `${name}.conf`)], { stdio: 'ignore', cwd: directory })
}

/** Writes the settings of all four servers, and answers their ports; the public one is the last. */
async function configure(directory: string): Promise<readonly number[]> {
  await chmod(directory, 0o755)
  await mkdir(join(directory, 'node', 'd1'), { recursive: true })
  const ports = await Promise.all([...storage, 'proxy'].map(() => freePort()))
  const write = (name: string, text: string): Promise<void> => writeFile(join(directory, name), text)
  await write('swift.conf', '[swift-hash]\nswift_hash_path_suffix = test\nswift_hash_path_prefix = test\n')
  await Promise.all(
    storage.map((name, index) => write(`${name}.conf`, storageSettings(directory, name, ports[index] ?? 0))),
  )
  await write('proxy.conf', proxySettings(directory, ports.at(-1) ?? 0))
  await run(
    '/usr/bin/python3',
    ['-c', ringScript, directory, ...storage.map((name, index) => `${name}:${ports[index]}`)],
    { timeout: startMs },
  )
  return ports
}

/** Where which copy is: one device, one copy. */
const ringScript = `
import sys
from swift.common.ring.builder import RingBuilder
for name, port in (place.split(':') for place in sys.argv[2:]):
    builder = RingBuilder(1, 1, 0)
    builder.add_dev({'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': int(port), 'device': 'd1', 'weight': 1})
    builder.rebalance()
    builder.get_ring().save('%s/%s.ring.gz' % (sys.argv[1], name))
`

function common(directory: string, port: number): string {
  return `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
swift_dir = ${directory}
user = ${userInfo().username}
log_udp_host = 127.0.0.1
log_udp_port = 9
`
}

function storageSettings(directory: string, name: string, port: number): string {
  return `${common(directory, port)}
devices = ${directory}/node
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
[pipeline:main]
pipeline = healthcheck ${name}-server
[app:${name}-server]
use = egg:swift#${name}
[filter:healthcheck]
use = egg:swift#healthcheck
`
}

const filters = [
  'catch_errors',
  'healthcheck',
  'memcache',
  'listing_formats',
  's3api',
  'tempauth',
  'copy',
  'slo',
  'dlo',
]

function proxySettings(directory: string, port: number): string {
  const sections = filters.map((name) => `[filter:${name}]\nuse = egg:swift#${name}\n${filterSettings[name] ?? ''}`)
  return `${common(directory, port)}
[pipeline:main]
pipeline = ${filters.join(' ')} proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
conn_timeout = 20
node_timeout = 60
error_suppression_limit = 1000000
${sections.join('')}`
}

const filterSettings: Readonly<Record<string, string>> = {
  tempauth: 'user_test_tester = testing .admin\n',
  // One must be named; it does without where nobody listens.
  memcache: 'memcache_servers = 127.0.0.1:9\n',
}

async function answering(port: number, children: readonly ChildProcess[]): Promise<void> {
  const deadline = performance.now() + startMs
  while (performance.now() < deadline) {
    if (children.some(({ exitCode }) => exitCode !== null))
      throw new Error('a server of Swift ended before it answered')
    const answer = await fetch(`http://127.0.0.1:${port}/healthcheck`, { signal: AbortSignal.timeout(1000) }).catch(
      () => null,
    )
    await answer?.body?.cancel()
    if (answer?.ok === true) return
    await pause(20)
  }
  throw new Error(`Swift did not answer within ${startMs} ms`)
}
