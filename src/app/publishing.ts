/** Publishing of an opened app, as the configuration says: for workers, which alone may write to a disc. */

import { join, resolve } from 'node:path'

import { S3Caller } from '../files/s3/caller.ts'
import { bucketOf, readCatalogue } from '../pages/catalogue.ts'
import { createBucketPublisher } from '../pages/publish/bucket.ts'
import { createDirectoryPublisher } from '../pages/publish/directory.ts'
import { createEdges } from '../pages/publish/edge/edges.ts'
import { keyHeaders } from '../pages/publish/edge/purge-requests.ts'
import { surrogateFields } from '../pages/publish/edge/surrogate-keys.ts'
import { createPublishing, type BakedPage } from '../pages/publish/publishing.ts'
import { PageOutlet } from '../pages/publish/outlet.ts'

import type { CacheCore } from '../cache/core.ts'
import type { Logger } from '../core/log.ts'
import type { PageDocument } from '../pages/document.ts'
import type { Pages, PagesOptions } from '../pages/pages.ts'
import type { EdgeFields } from '../pages/rendered.ts'
import type { PublishingEdge } from '../pages/publish/places.ts'
import type { Publisher } from '../pages/publish/publisher.ts'
import type { Store } from '../store/store.ts'
import type { ResolvedConfig } from './config.ts'
import type { ResolvedPublish } from './config/publish.ts'
import type { AppDefinition } from './define-app.ts'

type Baked = Pick<AppDefinition<any>, 'pages' | 'bakeRoutes'>
type Edged = Pick<PagesOptions, 'definitions' | 'bakeRoutes'>

export interface AppPublishingOptions {
  readonly cache: CacheCore
  readonly pages: Pages
  readonly config: ResolvedConfig
  readonly store: Store
  readonly build: string
  readonly log: Logger
  /** Hears of an entry that somebody looks after and that is in no tier. */
  readonly missing: (id: string) => void
  /** Hears that entries were put into the catalogue that are to be baked. */
  readonly wanted: () => void
}

/** What hears of baked pages and publishes them; null where nothing is to be published. */
export function createOutlet(options: AppPublishingOptions): PageOutlet | null {
  const { cache, pages, config, store, build, log, missing, wanted } = options
  const publishers = publishersFor(config.publish)
  const edges = edgesFor(config.publish, log)
  if (publishers.length + edges.length === 0) return null
  const find = async (id: string): Promise<BakedPage | null> => {
    const entry = await cache.lookups.newest(id)
    return entry === null ? null : { document: entry.value as PageDocument, parts: entry.parts }
  }
  const isKept = async (id: string): Promise<boolean> =>
    (await readCatalogue(store, build, bucketOf(id))).some((known) => known.id === id)
  const publishing = createPublishing({ store, build, publishers, edges, find, isKept, missing, log })
  return new PageOutlet({ publishing, publishers, routes: pages.routes, store, build, wanted, log })
}

/** The pages of an app, with the fields by which an edge files them where there is one. */
export function withEdgeFields({ pages = [], bakeRoutes = [] }: Baked, { publish }: ResolvedConfig): Edged {
  const { kind, headers } = publish.edge
  if (kind === undefined) return { definitions: pages, bakeRoutes }
  const names = headers.length > 0 ? headers : keyHeaders[kind]
  const fields: EdgeFields = { edgeFields: (url, path) => surrogateFields(names, url, path) }
  return {
    definitions: pages.map((page) => ({ ...page, ...fields })),
    bakeRoutes: bakeRoutes.map((route) => ({ ...(typeof route === 'string' ? { path: route } : route), ...fields })),
  }
}

/** What lets a process write to where pages are published, though it may write nowhere else: arguments for Node. */
export function publishingArguments({ publish }: Pick<ResolvedConfig, 'publish'>): string[] {
  if (publish.directory === undefined) return []
  const folder = resolve(publish.directory)
  // The folder itself may have to be made first.
  return [`--allow-fs-write=${folder}`, `--allow-fs-write=${join(folder, '*')}`]
}

function publishersFor({ directory, s3 }: ResolvedPublish): Publisher[] {
  const publishers: Publisher[] = []
  if (directory !== undefined) publishers.push(createDirectoryPublisher(directory))
  const { bucket } = s3
  if (bucket !== undefined) publishers.push(createBucketPublisher({ ...s3, bucket, caller: new S3Caller(s3) }))
  return publishers
}

function edgesFor({ edge }: ResolvedPublish, log: Logger): PublishingEdge[] {
  const { kind, ...rest } = edge
  return kind === undefined ? [] : createEdges({ ...rest, kind, log })
}
