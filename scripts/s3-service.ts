/**
 * A server that speaks S3, for tests and benchmarks: OpenStack Swift from Debian, with its S3 interface, on free ports of
 * the loopback. One node and one copy of everything, in a directory that goes when it stops.
 */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { findProgram, freePort } from './services.ts'

export interface S3Service {
  readonly endpoint: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** The server's processes, for tests that pause them. */
  readonly pids: readonly number[]
  stop(): Promise<void>
}

const startMs = 90_000
const endsMs = 5_000
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
  let servers: Servers | null = null
  const stop = async (): Promise<void> => {
    await servers?.stop()
    await rm(directory, { recursive: true, force: true })
  }
  try {
    const ports = await configure(directory)
    servers = startServers(directory, ports)
    const { parent } = servers
    // A server that is asked before it listens counts as broken for a while.
    await Promise.all(ports.map((port) => answering(port, parent)))
    const endpoint = `http://127.0.0.1:${ports.at(-1)}`
    return { endpoint, accessKeyId: 'test:tester', secretAccessKey: 'testing', pids: servers.pids(), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

interface Servers {
  readonly parent: ChildProcess
  readonly pids: () => readonly number[]
  readonly stop: () => Promise<void>
}

/** All from one process, which has loaded once what all four have in common: most of what the start of one costs. */
function startServers(directory: string, ports: readonly number[]): Servers {
  const places = storage.map((name, index) => `${name}:${ports[index]}`)
  const parent = spawn('/usr/bin/python3', ['-c', startScript, directory, ...places], {
    stdio: ['ignore', 'pipe', 'ignore'],
    cwd: directory,
  })
  let said = ''
  parent.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const pids = (): readonly number[] => said.trim().split('\n').filter(Boolean).map(Number)
  const stop = async (): Promise<void> => {
    if (parent.exitCode !== null || parent.signalCode !== null) return
    const ended = once(parent, 'exit')
    // It ends when they have.
    parent.kill('SIGTERM')
    const timer = setTimeout(() => parent.kill('SIGKILL'), endsMs)
    await ended
    clearTimeout(timer)
  }
  return { parent, pids, stop }
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
  return ports
}

/**
 * Writes where which copy is (one device, one copy), and starts the servers, whose ids it prints. All end with the first
 * that does, or when it is told to; those that are paused, too.
 */
const startScript = `
import os, signal, sys
import pkg_resources
from swift.common.ring.builder import RingBuilder
from swift.common.utils import eventlet_monkey_patch
from swift.common.wsgi import run_wsgi
import swift.account.server, swift.container.server, swift.obj.server, swift.proxy.server
directory = sys.argv[1]
for name, port in (place.split(':') for place in sys.argv[2:]):
    builder = RingBuilder(1, 1, 0)
    builder.add_dev({'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': int(port), 'device': 'd1', 'weight': 1})
    builder.rebalance()
    builder.get_ring().save('%s/%s.ring.gz' % (directory, name))
eventlet_monkey_patch()
more = {'object': {'global_conf_callback': swift.obj.server.global_conf_callback}}
children = []
for name in ['account', 'container', 'object', 'proxy']:
    child = os.fork()
    if child == 0:
        os._exit(run_wsgi('%s/%s.conf' % (directory, name), name + '-server', **more.get(name, {})))
    children.append(child)
    print(child, flush=True)
def end(*_):
    for child in children:
        os.kill(child, signal.SIGKILL)
    os._exit(1)
signal.signal(signal.SIGTERM, end)
os.wait()
end()
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

async function answering(port: number, parent: ChildProcess): Promise<void> {
  const deadline = performance.now() + startMs
  while (performance.now() < deadline) {
    if (parent.exitCode !== null || parent.signalCode !== null)
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
