/** The baker of an opened app: what a worker runs. */

import { randomBytes } from 'node:crypto'

import { Baker } from '../pages/baker/baker.ts'
import { checkSchedule } from '../pages/baker/schedule.ts'
import { readBakingStatus, type BakingStatus } from '../pages/baker/status.ts'

import { createOutlet } from './publishing.ts'

import type { CacheCore } from '../cache/core.ts'
import type { Key } from '../cache/keys.ts'
import type { Source } from '../cache/source.ts'
import type { Logger } from '../core/log.ts'
import type { Cluster } from '../database/cluster.ts'
import type { PageOutlet } from '../pages/publish/outlet.ts'
import type { Pages } from '../pages/pages.ts'
import type { Store } from '../store/store.ts'
import type { ResolvedConfig } from './config.ts'
import type { App } from './define-app.ts'

export interface BakingOptions {
  readonly app: App<any>
  readonly cache: CacheCore
  readonly clusters: Readonly<Record<string, Cluster>>
  readonly pages: Pages
  readonly config: ResolvedConfig
  readonly store: Store
  readonly build: string
  readonly log: Logger
  /** Filled with what ends it. */
  readonly closers: (() => Promise<unknown> | void)[]
}

/** What workers do, in any process that opened the app. */
export interface Baking {
  /** Bakes ahead of demand from now on, until the app is closed. Does nothing where there is nothing to bake, or once it is closed. */
  start(): void
  /** What the workers of this build say of themselves. */
  status(): Promise<BakingStatus>
}

/** @throws FF_PAGE_DEFINITION for a schedule that is none */
export function createBaking(options: BakingOptions): Baking {
  const { pages, store, build, closers } = options
  for (const { definition } of pages.sources) {
    if (definition.schedule !== undefined) checkSchedule(definition.path, definition.schedule)
  }
  let baker: Baker | null = null
  let closed = false
  closers.push(() => void (closed = true))
  return {
    start: () => {
      // Nobody would end it.
      if (closed) return
      baker ??= createBaker(options)
      baker?.start()
    },
    status: () => readBakingStatus(store, build),
  }
}

/** Null where there is nothing to bake, or no tier to put it into. */
function createBaker(options: BakingOptions): Baker | null {
  const { app, cache, clusters, config, log, closers, ...rest } = options
  if (!hasBaked(app)) return null
  if (!cache.shares) {
    log.warn({}, 'nothing is baked ahead: there is no tier that all processes share (cache.tierUrl)')
    return null
  }
  const { atOnce, backlog } = config.baking
  const outlet: PageOutlet | null = createOutlet({
    ...options,
    missing: (id) => baker.missing(id),
    wanted: () => baker.hurry(),
  })
  const baker = new Baker({
    ...rest,
    core: cache,
    clusters: new Map(Object.entries(clusters)),
    objects: bakedObjects(app).map((object): Source<Key> => cache.sourceOf(object)),
    self: randomBytes(9).toString('base64url'),
    atOnce,
    backlog,
    dropped: outlet && ((known) => outlet.dropped(known)),
    log,
  })
  closers.push(() => baker.stop())
  // What is baked from now on, by whatever process, is published by this one too.
  outlet?.start()
  if (outlet !== null) closers.push(() => outlet.stop())
  return baker
}

/** Whether an app has anything that workers would bake. */
export function hasBaked(app: App<any>): boolean {
  const { pages = [], bakeRoutes = [] } = app.definition
  return pages.length + bakeRoutes.length > 0 || bakedObjects(app).length > 0
}

function bakedObjects({ definition }: App<any>) {
  return (definition.objects ?? []).filter(({ bake }) => bake === true)
}
