/** The pages that the balancer's process answers by itself: everything that this takes, put together. */

import { ClientReaders } from '../sessions/client-readers.ts'
import { createEntryMemory } from '../cache/entry-memory.ts'
import { SharedEntries } from '../cache/shared-entries.ts'
import { Checks } from '../cache/checks.ts'
import { shortBuildId } from '../clones/build/build-id.ts'
import { PageFront } from '../pages/front/page-front.ts'
import { isFourfoldError } from '../core/errors.ts'
import { writeManifest } from '../pages/route-record.ts'
import { connectTier } from '../store/connect-tier.ts'
import { openClusters } from './databases.ts'
import { connectAppStore, tierUrl } from './store-address.ts'

import type { ResolvedConfig } from './config.ts'
import type { Connections } from './connections.ts'
import type { App } from './define-app.ts'
import type { Fourfold } from './fourfold.ts'
import type { PageAnswerer } from '../clones/balancer/page-answerer.ts'
import type { Admission, Upstream } from '../clones/protocol.ts'
import type { Logger } from '../core/log.ts'

/** Bodies that were expanded take at most this part of the pages' memory beside it. */
const expandedShare = 8

/** Plain data, handed to the balancer's process. */
export interface PageFrontSettings {
  readonly config: ResolvedConfig
  readonly connections: Connections
  readonly secrets: readonly string[]
}

export interface OpenPageFront {
  readonly answerer: PageAnswerer
  /** May be called twice. */
  close(): Promise<void>
}

/** Null where clones answer all pages: there are none, or their readers' levels need more than this process can know. */
export function pageFrontSettings(
  app: App<any>,
  config: ResolvedConfig,
  connections: Connections,
  secrets: readonly string[],
): PageFrontSettings | null {
  const { pages = [], bakeRoutes = [] } = app.definition
  const servable = Object.entries(config.databases).every(
    ([, { level }]) => level === 'session' || level === 'eventual',
  )
  if (pages.length + bakeRoutes.length === 0 || config.baking.memoryBytes === 0 || !servable) return null
  // No replica is asked, and the primary for positions only.
  const databases = Object.fromEntries(
    Object.entries(connections.databases).map(([name, found]) => [name, { ...found, replicas: [], poolSize: 1 }]),
  )
  return { config, connections: { ...connections, databases }, secrets }
}

/** @throws FF_STORE_UNAVAILABLE, FF_STORE_ADDRESS, FF_SESSION_SECRETS_WEAK */
export async function openPageFront(settings: PageFrontSettings, log: Logger): Promise<OpenPageFront> {
  const { config, connections, secrets } = settings
  const { deadlineMs } = config.store
  const closers: (() => Promise<unknown> | void)[] = []
  const close = closeOnce(closers, log)
  try {
    const store = await connectAppStore(connections, { deadlineMs, log })
    closers.push(() => store.close())
    const clusters = new Map(Object.entries(await openClusters({ config, connections, store, log, closers })))
    const tier = await connectTier({ url: tierUrl(config, connections), deadlineMs, log })
    const shared = new SharedEntries({ tier, log })
    closers.push(() => shared.close())
    const { cookie: cookieName, idleMs, absoluteMs } = config.sessions
    const { memoryBytes, ignoreCookies, credentialHeaders } = config.baking
    const readers = new ClientReaders({ store, secrets, cookieName, idleMs, absoluteMs, ignoreCookies })
    const front = new PageFront({
      checks: new Checks(clusters),
      memory: createEntryMemory({ maxBytes: memoryBytes }),
      expandedBytes: Math.floor(memoryBytes / expandedShare),
      shared,
      store,
      sessionCookie: cookieName,
      findReader: (presented, identifies) => readers.find(presented, identifies),
      guessReader: (presented) => readers.guess(presented),
      settings: settingsText(config),
      headersOf: (build) => headersOf(build, config.balancer.exposeClone),
      log,
    })
    closers.push(() => front.close())
    const answerer: PageAnswerer = {
      credentialHeaders,
      admit: (upstreams, admission) => front.admit(...servedBuild(upstreams, admission)),
      answer: (request) => front.answer(request),
    }
    return { answerer, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** How soon it is said again where the store has not taken it, and where it has: it may have been lost with the store. */
const retryMs = 500
const againMs = 10_000

/**
 * Says what the pages are, and goes on saying so until the app is closed. To be called when the server of a clone is made,
 * and before it gets requests.
 */
export async function tellBalancers(
  ff: Pick<Fourfold, 'pages' | 'store' | 'config' | 'identify' | 'log'>,
): Promise<void> {
  const { pages, store, config, identify, log } = ff
  if (pages.sources.length === 0) return
  const routes = pages.routes.routes
  const manifest = { routes, identifies: identify !== undefined, settings: settingsText(config) }
  const tell = async (): Promise<number | null> => {
    try {
      await writeManifest(store, pages.build, manifest, !pages.perRequest)
      return againMs
    } catch (error) {
      if (isFourfoldError(error) && error.code === 'FF_CORE_CLOSED') return null
      log.debug({ error }, 'balancers were not told that they may answer pages: trying again')
      return retryMs
    }
  }
  const tellAfter = (waitMs: number | null): void => {
    if (waitMs !== null) setTimeout(() => void tell().then(tellAfter), waitMs).unref()
  }
  tellAfter(await tell())
}

/** What of the settings decides whom a balancer may answer, and with what. A rollout can change each of it. */
export function settingsText({ databases, baking, sessions, cache }: ResolvedConfig): string {
  const { credentialHeaders, ignoreCookies } = baking
  const { cookie, idleMs, absoluteMs } = sessions
  const levels = Object.entries(databases).map(([name, { level, maxStalenessMs, onPrimaryDown }]) => {
    return [name, level, maxStalenessMs, onPrimaryDown]
  })
  return JSON.stringify([levels, credentialHeaders, ignoreCookies, cookie, idleMs, absoluteMs, cache.tierUrl ?? ''])
}

function headersOf(build: string, exposeClone: boolean): string[] {
  const named = exposeClone && build !== '' ? ['x-fourfold-build', shortBuildId(build)] : []
  return ['cache-status', 'fourfold-balancer; hit', ...named]
}

/**
 * The build whose pages may be answered, null while readers are moved. Where nobody names builds, clones run the app's
 * own files, which may be others with every clone that starts.
 */
export function servedBuild(
  upstreams: readonly Upstream[],
  admission: Admission | undefined,
): [build: string | null, version: string] {
  if (admission !== undefined) {
    const { current, next, halt } = admission
    return [next !== undefined || halt === true ? null : current.id, '']
  }
  const [build = null, ...others] = new Set(upstreams.map(({ buildId }) => buildId))
  return [others.length > 0 ? null : build, upstreams.map(({ id }) => id).join(' ')]
}

function closeOnce(closers: readonly (() => Promise<unknown> | void)[], log: Logger): () => Promise<void> {
  let closing: Promise<void> | null = null
  const run = async (): Promise<void> => {
    for (const closer of closers.toReversed()) {
      try {
        await closer()
      } catch (error) {
        log.warn({ error }, 'one part of the pages did not close cleanly')
      }
    }
  }
  return () => (closing ??= run())
}
