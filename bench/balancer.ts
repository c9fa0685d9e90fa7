/**
 * What a request costs the process in front: Fourfold's balancer beside nginx, HAProxy and the proxies of Node, with
 * the same two backends behind and the same mixed load. Each front runs in a process of its own, with one worker, and
 * its CPU time is what the system counts for that process and its children.
 */

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'

import { sendLoad } from './support/http-load.ts'
import { startNative } from './support/native-fronts.ts'
import { readUse } from './support/process-use.ts'
import { createReport, median } from './support/report.ts'

const quick = process.argv.includes('--quick')
const connections = 64
const requests = quick ? 3_000 : 20_000
const rounds = quick ? 3 : 9
/** Rounds whose figures are thrown away: by then every front's hot paths are compiled. */
const warmRounds = 2
const goalUs = 35
/** `--only=fourfold,nginx`: a part of the contenders, to look at while working; nothing is recorded then. */
const only = process.argv
  .find((arg) => arg.startsWith('--only='))
  ?.slice('--only='.length)
  .split(',')
const startMs = 10_000

interface Front {
  readonly name: string
  readonly pid: number
  readonly port: number
  stop(): Promise<void>
}

interface Figures {
  readonly cpuUs: number[]
  readonly perSecond: number[]
  readonly p99Ms: number[]
  readonly memoryMiB: number[]
}

const nodeFronts: Readonly<Record<string, string>> = {
  fourfold: 'fourfold',
  'undici (bare dispatch)': 'undici',
  '@fastify/http-proxy': 'fastify-http-proxy',
  'http-proxy-3': 'http-proxy-3',
  httpxy: 'httpxy',
}

const backends = fork(new URL('support/backends.ts', import.meta.url), ['2'])
const fronts: Front[] = []
let met = false
try {
  const [{ ports }] = (await once(backends, 'message')) as [{ ports: number[] }]
  for (const [name, file] of Object.entries(nodeFronts))
    if (wanted(name)) fronts.push(await startNode(name, file, ports))
  for (const name of ['nginx', 'haproxy'] as const) {
    if (!wanted(name)) continue
    const front = await startOther(name, ports)
    if (front === null) console.log(`${name} is not installed: left out`)
    else fronts.push(front)
  }
  met = report(await measure())
} finally {
  for (const front of fronts) await front.stop()
  await end(backends)
}
process.exitCode = met ? 0 : 1

function wanted(name: string): boolean {
  return only === undefined || only.includes(name)
}

async function startNode(name: string, file: string, ports: readonly number[]): Promise<Front> {
  const child = fork(new URL(`fronts/${file}.ts`, import.meta.url), ports.map(String))
  const [{ port }] = (await once(child, 'message', { signal: AbortSignal.timeout(startMs) })) as [{ port: number }]
  return { name, pid: child.pid ?? 0, port, stop: () => end(child) }
}

async function startOther(name: 'nginx' | 'haproxy', ports: readonly number[]): Promise<Front | null> {
  const front = await startNative(name, ports)
  if (front === null) return null
  const { child, port, clean } = front
  await answering(port)
  return { name, pid: child.pid ?? 0, port, stop: () => end(child).then(clean) }
}

async function answering(port: number): Promise<void> {
  const deadline = performance.now() + startMs
  while (performance.now() < deadline) {
    const socket = connect(port, '127.0.0.1')
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (connected) return
  }
  throw new Error(`nothing listens on port ${port} after ${startMs} ms`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 2_000)
  await gone
  clearTimeout(timer)
}

/** Every front in each round, in an order that turns. */
async function measure(): Promise<Map<string, Figures>> {
  const figures = new Map<string, Figures>(
    fronts.map(({ name }) => [name, { cpuUs: [], perSecond: [], p99Ms: [], memoryMiB: [] }]),
  )
  for (let round = -warmRounds; round < rounds; round += 1) {
    for (let turn = 0; turn < fronts.length; turn += 1) {
      const front = fronts[(turn + round + warmRounds) % fronts.length]
      const into = front && figures.get(front.name)
      if (front === undefined || into === undefined) continue
      const before = readUse(front.pid)
      const { seconds, latenciesMs } = await sendLoad({ port: front.port, connections, requests }).catch(
        (error: unknown) => {
          throw new Error(`${front.name}, round ${round}: ${String(error)}`, { cause: error })
        },
      )
      const after = readUse(front.pid)
      if (round < 0) continue
      into.cpuUs.push(((after.cpuMs - before.cpuMs) * 1_000) / requests)
      into.perSecond.push(requests / seconds)
      into.p99Ms.push(latenciesMs.toSorted((a, b) => a - b)[Math.floor(latenciesMs.length * 0.99)] ?? Number.NaN)
      into.memoryMiB.push(after.residentMiB)
    }
  }
  return figures
}

function report(figures: ReadonlyMap<string, Figures>): boolean {
  const into = createReport({ name: 'balancer', ...(only === undefined ? {} : { directory: tmpdir() }) })
  const others = Object.keys(nodeFronts).filter((name) => name !== 'fourfold')
  const cheapest = Math.min(
    ...others.map((name) => (figures.has(name) ? median(figures.get(name)?.cpuUs ?? []) : Infinity)),
  )
  for (const [contender, { cpuUs, perSecond, p99Ms, memoryMiB }] of figures) {
    const goal = contender === 'fourfold' ? { goal: { atMost: Math.min(goalUs, cheapest) } } : {}
    into.add({ contender, metric: 'cpu_us_per_request', unit: 'µs', values: cpuUs, ...goal })
    into.add({ contender, metric: 'requests_per_s', unit: '1/s', values: perSecond })
    into.add({ contender, metric: 'p99', unit: 'ms', values: p99Ms })
    into.add({ contender, metric: 'memory', unit: 'MiB', values: memoryMiB })
  }
  return into.finish()
}
