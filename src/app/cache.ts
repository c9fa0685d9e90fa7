/** The cache of an opened app, put together: tiers by the configuration, loads over its databases. */

import { randomBytes } from 'node:crypto'

import { CacheCore } from '../cache/core.ts'
import { createClassRegistry } from '../cache/classes.ts'
import { createEntryMemory, defaultMemoryBytes } from '../cache/entry-memory.ts'
import { SharedEntries } from '../cache/shared-entries.ts'
import { SnapshotKeeper } from '../freshness/changes/snapshot-keeper.ts'
import { Scope } from '../freshness/scope.ts'
import { announce, announcementOf, type Announcement } from '../pages/announcements.ts'
import { writeCatalogue } from '../pages/catalogue.ts'
import { connectTier } from '../store/connect-tier.ts'
import { tierUrl } from './store-address.ts'

import type { ResolvedConfig } from './config.ts'
import type { Connections } from './connections.ts'
import type { OpenedDatabases } from './databases.ts'
import type { App } from './define-app.ts'
import type { Logger } from '../core/log.ts'
import type { Store } from '../store/store.ts'
import type { CacheTier } from '../store/tier.ts'

export interface AppCacheOptions {
  readonly app: App<any>
  readonly databases: OpenedDatabases
  readonly connections: Connections
  readonly config: ResolvedConfig
  readonly store: Store
  readonly log: Logger
  readonly build: string | undefined
  /** How often what is known of changes is written down for processes that start. Default: 30,000. */
  readonly snapshotEveryMs?: number | undefined
  /** Filled with what closes it again. */
  readonly closers: (() => Promise<unknown> | void)[]
}

export async function createAppCache(options: AppCacheOptions): Promise<CacheCore> {
  const { app, databases, connections, config, store, log, closers, build = '' } = options
  const tier = await connectTier({ url: tierUrl(config, connections), deadlineMs: config.store.deadlineMs, log })
  const classes = createClassRegistry()
  const shared = new SharedEntries({ tier, classes, compressAbove: config.cache.compressAboveBytes, log })
  const holder = randomBytes(9).toString('base64url')
  const core = new CacheCore({
    clusters: new Map(Object.entries(databases.clusters)),
    reads: databases.reads,
    memory: createEntryMemory({ maxBytes: config.cache.memoryBytes ?? defaultMemoryBytes(), classes }),
    shared,
    store,
    build,
    holder,
    objects: app.definition.objects ?? [],
    onKept: (kept) => tell(options, announcementOf(kept)),
    refreshScope: new Scope({ level: 'strict', reader: null }),
    log,
  })
  closers.push(async () => {
    await core.close()
    await shared.close()
  })
  for (const keeper of snapshotKeepers(options, tier, holder)) {
    keeper.start()
    closers.push(() => keeper.stop())
  }
  return core
}

function snapshotKeepers(options: AppCacheOptions, tier: CacheTier, holder: string): SnapshotKeeper[] {
  const { databases, store, log, snapshotEveryMs: everyMs } = options
  return Object.entries(databases.clusters).flatMap(([database, { changes: follower }]) => {
    if (follower === null) return []
    return new SnapshotKeeper({
      database,
      follower,
      tier,
      store,
      holder,
      ...(everyMs !== undefined && { everyMs }),
      log,
    })
  })
}

/**
 * Of an entry that was put into the tier. First to the catalogue: a worker that takes a bucket over at this moment either
 * hears of it or finds it there.
 */
async function tell({ store, build = '', log }: AppCacheOptions, announcement: Announcement): Promise<void> {
  await writeCatalogue(store, build, announcement).catch((error: unknown) =>
    log.debug({ error, id: announcement.id }, 'an entry was not catalogued: it is loaded again when somebody asks'),
  )
  await announce(store, build, announcement)
}
