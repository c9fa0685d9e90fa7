/** The cache of an opened app, put together: tiers by the configuration, loads over its databases. */

import { randomBytes } from 'node:crypto'

import { CacheCore } from '../cache/core.ts'
import { createEntryMemory } from '../cache/entry-memory.ts'
import { createSharedEntries } from '../cache/shared-entries.ts'

import type { ResolvedConfig } from './config.ts'
import type { Connections } from './connections.ts'
import type { OpenedDatabases } from './databases.ts'
import type { App } from './define-app.ts'
import type { Logger } from '../core/log.ts'
import type { Store } from '../store/store.ts'

export interface AppCacheOptions {
  readonly app: App<any>
  readonly databases: OpenedDatabases
  readonly connections: Connections
  readonly config: ResolvedConfig
  readonly store: Store
  readonly log: Logger
  readonly build: string | undefined
}

export async function createAppCache(options: AppCacheOptions): Promise<CacheCore> {
  const { app, databases, store, log, build = '' } = options
  const objects = app.definition.objects ?? []
  return new CacheCore({
    clusters: new Map(Object.entries(databases.clusters)),
    reads: databases.reads,
    memory: createEntryMemory(),
    shared: createSharedEntries(),
    store,
    build,
    holder: randomBytes(9).toString('base64url'),
    objects,
    log,
  })
}
