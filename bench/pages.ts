/**
 * What a hit of a page costs: Fourfold's balancer, which answers from memory what it knows to be fresh for the reader,
 * beside nginx with the same bytes in files, Varnish with them in memory, and bare `node:http`; and the same document made
 * for each request by the app. CPU is what the system counts for the processes that take part: the balancer (for a reader
 * with a session the store as well), nginx's and Varnish's own, and for the app its clones and database too.
 *
 * Then how soon a change shows, and what 100,000 pages cost. `--only=hits`, `changes` or `many` runs one part.
 */

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as send } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import pg from 'pg'

import { resolveConfig } from '../src/app/config.ts'
import { loadApp } from '../src/app/load-app.ts'
import { startSystem, type RunningSystem } from '../src/app/start.ts'
import { silentLogger } from '../src/core/log.ts'
import { sendPageLoad } from './support/page-load.ts'
import { measureChanges } from './support/pages-changes.ts'
import { measureMany } from './support/pages-many.ts'
import { startPagesSystem, type PagesSystem } from './support/pages-system.ts'
import { notes, schemaSql } from './support/pages-app.ts'
import { readCpuMs } from './support/cpu-time.ts'
import { readUse } from './support/process-use.ts'
import { createReport, median } from './support/report.ts'
import { startNginxFiles, startVarnish } from './support/static-fronts.ts'

const quick = process.argv.includes('--quick')
const only = process.argv.find((word) => word.startsWith('--only='))?.slice('--only='.length)
const changes = quick ? 60 : 400
const manyPages = quick ? 5_000 : 100_000
const connections = 32
const requests = quick ? 5_000 : 20_000
/** The app makes each document anew: fewer are enough. */
const appRequests = quick ? 300 : 1_500
const rounds = quick ? 3 : 9
const warmRounds = 2
const mostOfNginx = 2.2
const leastOfApp = 20
const readyMs = 20_000
/** The part of the answers that may come from elsewhere, where a machine is so busy that a deadline passes. */
const mostMissed = 0.01

interface Contender {
  readonly name: string
  readonly port: number
  readonly pids: readonly number[]
  readonly requests: number
  readonly paths: readonly string[]
  readonly headers: readonly string[]
  readonly expect: string
}

interface Figures {
  readonly cpuUs: number[]
  readonly perSecond: number[]
  readonly p99Ms: number[]
  readonly memoryMiB: number[]
}

const closers: (() => Promise<unknown> | void)[] = []
let met = false
const into = createReport({ name: 'pages', ...(quick || only !== undefined ? { directory: tmpdir() } : {}) })
try {
  if (only === undefined || only === 'hits') await compareHits()
  await closeAll()
  if (only === undefined || only === 'changes') await withPages((ground) => measureChanges(ground, into, changes))
  if (only === undefined || only === 'many') await withPages((ground) => measureMany(ground, into, manyPages))
  met = into.finish()
} finally {
  await closeAll()
}
process.exitCode = met ? 0 : 1

async function closeAll(): Promise<void> {
  for (const close of closers.splice(0).toReversed()) await close()
}

async function withPages(work: (ground: PagesSystem) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'ff-bench-pages-'))
  const ground = await startPagesSystem(directory, { FOURFOLD_BAKING_MEMORY: '2GiB' })
  try {
    await work(ground)
  } finally {
    await ground.stop()
    await rm(directory, { recursive: true, force: true })
  }
}

async function compareHits(): Promise<void> {
  const system = await startApp()
  const port = Number(new URL(system.url).port)
  const paths = Array.from({ length: notes }, (_, index) => `/note/${index + 1}`)
  const plain = paths.map((path) => path.replace('note', 'plain'))
  const cookie = await signIn(port)
  const documents = new Map<string, Buffer>()
  for (const path of paths) {
    documents.set(path, await baked(port, path, []))
    await baked(port, path, [`Cookie: ${cookie}`])
  }
  const [balancer, store] = (['balancer', 'store'] as const).map(
    (kind) => system.supervisor.members(kind)[0]!.process.pid,
  )
  const clones = system.supervisor.members('clone').map(({ process: { pid } }) => pid)
  const database = await postgresPid(system)
  const hit = { port, requests, paths, expect: 'fourfold-balancer; hit' }
  const gzip = 'Accept-Encoding: gzip'
  const contenders: Contender[] = [
    { ...hit, name: 'fourfold, anonymous', pids: [balancer!], headers: [gzip] },
    { ...hit, name: 'fourfold, session', pids: [balancer!, store!], headers: [gzip, `Cookie: ${cookie}`] },
    {
      ...hit,
      name: 'app, not baked',
      pids: [balancer!, store!, ...clones, database],
      requests: appRequests,
      paths: plain,
      headers: [gzip],
      expect: 'x-fourfold-clone',
    },
    ...(await others(documents, { requests, paths, headers: [gzip], expect: 'HTTP/1.1 200' })),
  ]
  report(await measure(contenders))
}

async function startApp(): Promise<RunningSystem> {
  const appFile = fileURLToPath(new URL('support/pages-app.ts', import.meta.url))
  const dataDir = await mkdtemp(join(tmpdir(), 'ff-bench-pages-'))
  closers.push(() => rm(dataDir, { recursive: true, force: true }))
  const app = await loadApp(appFile)
  const overrides = { clones: 2, balancer: { port: 0 }, dataDir, logLevel: 'silent' as const }
  const config = resolveConfig(app.definition, {}, overrides)
  const system = await startSystem({ app, appFile, config, overrides, env: {}, log: silentLogger, inPlace: true })
  closers.push(() => system.stop())
  const client = new pg.Client(system.connections.databases['main']!.primary as pg.ClientConfig)
  await client.connect()
  await client.query(schemaSql)
  await client.end()
  return system
}

async function postgresPid(system: RunningSystem): Promise<number> {
  const client = new pg.Client(system.connections.databases['main']!.primary as pg.ClientConfig)
  await client.connect()
  const { rows } = await client.query<{ pid: string }>(
    `select split_part(pg_read_file('postmaster.pid'), E'\\n', 1) as pid`,
  )
  await client.end()
  return Number(rows[0]?.pid)
}

interface Answer {
  readonly headers: Readonly<Record<string, unknown>>
  readonly cookies: readonly string[]
  readonly body: Buffer
}

function ask(port: number, method: string, path: string, lines: readonly string[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = Object.fromEntries(lines.map((line) => line.split(': ') as [string, string]))
    const request = send({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () =>
        resolve({
          headers: answer.headers,
          cookies: answer.headers['set-cookie'] ?? [],
          body: Buffer.concat(chunks),
        }),
      )
    })
    request.on('error', reject).end()
  })
}

/** A browser with a session that has written: its cookies. */
async function signIn(port: number): Promise<string> {
  const { cookies } = await ask(port, 'POST', '/write/1', [])
  return cookies.map((cookie) => cookie.split(';')[0]).join('; ')
}

/** Asks until the balancer answers; the body with gzip. */
async function baked(port: number, path: string, lines: readonly string[]): Promise<Buffer> {
  const deadline = performance.now() + readyMs
  while (performance.now() < deadline) {
    const { headers, body } = await ask(port, 'GET', path, ['Accept-Encoding: gzip', ...lines])
    if (String(headers['cache-status']).startsWith('fourfold-balancer')) return body
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`the balancer does not answer ${path} after ${readyMs} ms`)
}

async function others(
  documents: ReadonlyMap<string, Buffer>,
  load: Pick<Contender, 'requests' | 'paths' | 'headers' | 'expect'>,
): Promise<Contender[]> {
  const found: Contender[] = []
  const nginx = await startNginxFiles(documents)
  const varnish = nginx && (await startVarnish(nginx.port))
  for (const [name, front] of [['nginx', nginx] as const, ['varnish', varnish] as const]) {
    if (front === null) {
      console.log(`${name} is not installed: left out`)
      continue
    }
    closers.push(() => end(front.child).then(() => front.clean()))
    await answering(front.port, load.paths[0]!)
    found.push({ ...load, name, port: front.port, pids: [front.child.pid!] })
  }
  const directory = await mkdtemp(join(tmpdir(), 'ff-bench-bare-'))
  closers.push(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'documents.json')
  await writeFile(
    file,
    JSON.stringify(Object.fromEntries([...documents].map(([path, body]) => [path, body.toString('base64')]))),
  )
  const bare = fork(new URL('fronts/bare-documents.ts', import.meta.url), [file])
  closers.push(() => end(bare))
  const [{ port }] = (await once(bare, 'message', { signal: AbortSignal.timeout(readyMs) })) as [{ port: number }]
  found.push({ ...load, name: 'node:http (bare)', port, pids: [bare.pid!] })
  return found
}

async function answering(port: number, path: string): Promise<void> {
  const deadline = performance.now() + readyMs
  while (performance.now() < deadline) {
    const found = await ask(port, 'GET', path, []).catch(() => null)
    if (found !== null && found.body.length > 0) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`nothing answers on port ${port} after ${readyMs} ms`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 2_000)
  await gone
  clearTimeout(timer)
}

function cpuMsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + readCpuMs(pid), 0)
}

/** Every contender in each round, in an order that turns. */
async function measure(contenders: readonly Contender[]): Promise<Map<string, Figures>> {
  const figures = new Map<string, Figures>(
    contenders.map(({ name }) => [name, { cpuUs: [], perSecond: [], p99Ms: [], memoryMiB: [] }]),
  )
  for (let round = -warmRounds; round < rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const contender = contenders[(turn + round + warmRounds) % contenders.length]!
      const before = cpuMsOf(contender.pids)
      const {
        seconds,
        latenciesMs,
        others: missed,
      } = await sendPageLoad({ ...contender, connections }).catch((error: unknown) => {
        throw new Error(`${contender.name}, round ${round}: ${String(error)}`, { cause: error })
      })
      if (missed > contender.requests * mostMissed) {
        throw new Error(`${contender.name}, round ${round}: ${missed} answers without "${contender.expect}"`)
      }
      const after = cpuMsOf(contender.pids)
      if (round < 0) continue
      const into = figures.get(contender.name)!
      into.cpuUs.push(((after - before) * 1_000) / contender.requests)
      into.perSecond.push(contender.requests / seconds)
      into.p99Ms.push(latenciesMs.toSorted((a, b) => a - b)[Math.floor(latenciesMs.length * 0.99)]!)
      into.memoryMiB.push(contender.pids.reduce((sum, pid) => sum + readUse(pid).residentMiB, 0))
    }
  }
  return figures
}

function report(figures: ReadonlyMap<string, Figures>): void {
  const own = figures.get('fourfold, anonymous')!.cpuUs
  for (const [contender, { cpuUs, perSecond, p99Ms, memoryMiB }] of figures) {
    into.add({ contender, metric: 'cpu_us_per_request', unit: 'µs', values: cpuUs })
    into.add({ contender, metric: 'requests_per_s', unit: '1/s', values: perSecond })
    into.add({ contender, metric: 'p99', unit: 'ms', values: p99Ms })
    into.add({ contender, metric: 'memory', unit: 'MiB', values: memoryMiB })
  }
  const ratios = (one: readonly number[], other: readonly number[]): number[] =>
    one.map((value, at) => value / other[at]!)
  const nginx = figures.get('nginx')?.cpuUs
  if (nginx !== undefined) {
    const values = ratios(own, nginx)
    into.add({
      contender: 'fourfold, anonymous / nginx',
      metric: 'cpu',
      unit: 'times',
      values,
      goal: { atMost: mostOfNginx },
    })
    const session = ratios(figures.get('fourfold, session')!.cpuUs, nginx)
    into.add({ contender: 'fourfold, session / nginx', metric: 'cpu', unit: 'times', values: session })
  }
  const saved = ratios(figures.get('app, not baked')!.cpuUs, own)
  into.add({
    contender: 'app, not baked / fourfold',
    metric: 'cpu',
    unit: 'times',
    values: saved,
    goal: { atLeast: leastOfApp },
  })
  console.log(`fourfold, anonymous: ${median(own).toFixed(1)} µs a page`)
}
