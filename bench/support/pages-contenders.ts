/**
 * The contenders of `bench/pages.ts` for hits: Fourfold's balancer for two kinds of readers, the app without it, and others
 * that have the same documents.
 */

import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import pg from 'pg'

import { resolveConfig } from '../../src/app/config.ts'
import { loadApp } from '../../src/app/load-app.ts'
import { startSystem, type RunningSystem } from '../../src/app/start.ts'
import { silentLogger } from '../../src/core/log.ts'
import { notes, schemaSql } from './pages-app.ts'
import { ask, baked, readyMs, signIn } from './pages-ask.ts'
import { startNginxFiles, startVarnish } from './static-fronts.ts'

export interface Contender {
  readonly name: string
  readonly port: number
  readonly pids: readonly number[]
  readonly requests: number
  readonly paths: readonly string[]
  readonly headers: readonly string[]
  readonly expect: string
}

export type Closers = (() => Promise<unknown> | void)[]

export interface ContenderRequests {
  /** In a round, to those that have the documents. */
  readonly ready: number
  /** To the app, which makes each anew. */
  readonly made: number
}

/** Starts all of them. What ends them is put into `closers`, also where something fails on the way. */
export async function startContenders(requests: ContenderRequests, closers: Closers): Promise<Contender[]> {
  const system = await startApp(closers)
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
  const hit = { port, requests: requests.ready, paths, expect: 'fourfold-balancer; hit' }
  const gzip = 'Accept-Encoding: gzip'
  return [
    { ...hit, name: 'fourfold, anonymous', pids: [balancer!], headers: [gzip] },
    { ...hit, name: 'fourfold, session', pids: [balancer!, store!], headers: [gzip, `Cookie: ${cookie}`] },
    {
      ...hit,
      name: 'app, not baked',
      pids: [balancer!, store!, ...clones, database],
      requests: requests.made,
      paths: plain,
      headers: [gzip],
      expect: 'x-fourfold-clone',
    },
    ...(await others(documents, { requests: requests.ready, paths, headers: [gzip], expect: 'HTTP/1.1 200' }, closers)),
  ]
}

async function startApp(closers: Closers): Promise<RunningSystem> {
  const appFile = fileURLToPath(new URL('pages-app.ts', import.meta.url))
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

async function others(
  documents: ReadonlyMap<string, Buffer>,
  load: Pick<Contender, 'requests' | 'paths' | 'headers' | 'expect'>,
  closers: Closers,
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
  const bare = fork(new URL('../fronts/bare-documents.ts', import.meta.url), [file])
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
