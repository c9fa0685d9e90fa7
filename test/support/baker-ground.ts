/** An app with pages, and workers that bake them: each opened by itself, as in a process of its own. */

import { after, before } from 'node:test'
import { rm } from 'node:fs/promises'

import pg from 'pg'

import { database, defineApp } from '../../src/app/define-app.ts'
import { open } from '../../src/app/open.ts'
import { socketPathFor } from '../../src/app/socket-path.ts'
import { silentLogger } from '../../src/core/log.ts'
import { createMemoryTier } from '../../src/store/memory/memory-tier.ts'
import { readBakingStatus, type BakingStatus } from '../../src/pages/baker/status.ts'
import { articlesSql } from './cache-app.ts'
import { newDirectory } from './postgres.ts'
import { waitFor } from './wait-for.ts'

import type { Connections } from '../../src/app/connections.ts'
import type { Fourfold } from '../../src/app/fourfold.ts'
import type { CacheTier } from '../../src/store/tier.ts'

export interface BakerGround {
  /** Bakes nothing: as a clone. */
  readonly ff: Fourfold<any>
  /** A connection that Fourfold knows nothing of. */
  readonly outside: pg.Client
  readonly connections: Connections
  /** What processes share, past all of them. */
  readonly tier: CacheTier
  /** Another process of the same app; bakes unless told otherwise. */
  worker(options?: { bakes?: boolean; baking?: object; define?: object; build?: string }): Promise<Fourfold<any>>
  status(): Promise<BakingStatus>
  /** Until what all workers say fulfils something; answers that. */
  until(what: string, holds: (status: BakingStatus) => boolean): Promise<BakingStatus>
}

/** @param define what the app has besides its database: pages, objects */
export function bakerGround(define: object, sql: string = articlesSql): () => BakerGround {
  let ground: BakerGround | undefined
  let directory = ''
  const opened: { close(): Promise<void> }[] = []
  const databases = { main: database<any>() }
  before(async () => {
    directory = await newDirectory('ff-baker-')
    const app = defineApp({ databases, dataDir: directory, store: { deadline: '10s' }, ...define })
    const ff = await open(app, { env: {}, log: silentLogger })
    await ff.databases['main']!.pool.query(sql)
    const address = ff.clusters['main']!.address
    const outside = new pg.Client(address as pg.ClientConfig)
    outside.on('error', () => undefined)
    await outside.connect()
    const { path } = await socketPathFor(directory, 'store')
    const main = { primary: address, direct: address, replicas: [], poolSize: 4, changes: true }
    const tier = createMemoryTier({ socketPath: path, deadlineMs: 10_000, log: silentLogger })
    opened.push(tier)
    const connections = { databases: { main }, storeUrl: `unix:${path}` }
    const worker: BakerGround['worker'] = async ({ bakes = true, baking = {}, define: own = {}, build } = {}) => {
      const sibling = defineApp({
        databases,
        dataDir: directory,
        store: { deadline: '10s' },
        ...define,
        ...own,
        baking,
      })
      const one = await open(sibling, { env: {}, log: silentLogger, connections, ...(build && { build }) })
      if (bakes) one.baking.start()
      opened.push(one)
      return one
    }
    const status = (): Promise<BakingStatus> => readBakingStatus(ff.store, '')
    const until: BakerGround['until'] = (what, holds) =>
      waitFor(what, async () => {
        const now = await status()
        return holds(now) ? now : null
      })
    ground = { ff, outside, tier, connections, worker, status, until }
  })
  after(async () => {
    await ground?.outside.end()
    for (const one of opened) await one.close()
    await ground?.ff.close()
    await rm(directory, { recursive: true, force: true })
  })
  return () => ground!
}

/** How often each page was rendered, by its parameter. */
export class RenderCounts {
  readonly counts: Map<string, number> = new Map()

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0)
  }

  add(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
  }

  clear(): void {
    this.counts.clear()
  }

  without(name: string): Record<string, number> {
    return Object.fromEntries([...this.counts].filter(([other]) => other !== name))
  }

  /** Until nothing waits, and nothing (but these) has been rendered for a moment. */
  async quiet({ status }: BakerGround, but: readonly string[] = []): Promise<void> {
    const seen = (): string => JSON.stringify([...this.counts].filter(([name]) => !but.includes(name)))
    let last = seen()
    let sinceMs = performance.now()
    await waitFor('nothing is rendered', async () => {
      if (seen() !== last || (await status()).waiting > 0) {
        last = seen()
        sinceMs = performance.now()
      }
      return performance.now() - sinceMs > 400
    })
  }

  /** What a clone answers without rendering; null where it has to. */
  async found(ff: Fourfold<any>, address: string, name: string): Promise<string | null> {
    const before = this.counts.get(name)
    const { scope } = ff.as({ reader: null, level: 'session' })
    const found = await ff.pages.find(ff.pages.routes.match(address)!, scope)
    if (this.counts.get(name) !== before) return null
    const { status, body } = found!.page.answer({ method: 'GET', headers: {} })
    return status === 200 ? String(body) : String(status)
  }
}
