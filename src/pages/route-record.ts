/**
 * The pages of a build, written down in the store by the clones that serve it: a balancer has none of the app's
 * code and learns here which addresses are pages, and whose requests it can tell apart.
 */

import type { PageRoute } from './routes.ts'
import type { Store } from '../store/store.ts'

export interface PageManifest {
  readonly routes: readonly PageRoute[]
  /** Whether the app names its readers by itself (`identify`): then cookies that are not ours may say who somebody is. */
  readonly identifies: boolean
  /** The settings of the build that decide whom a balancer may answer: one that was started with others leaves it to clones. */
  readonly settings?: string
}

const ttlMs = 30 * 24 * 3_600_000

/**
 * Said by each clone that serves, once it has made its server, and again now and then, for a store may lose it.
 *
 * @param answerable whether balancers may answer the pages: where adapters give requests levels of their own, they may not,
 * as no balancer knows these
 */
export async function writeManifest(
  store: Store,
  build: string,
  manifest: PageManifest,
  answerable: boolean,
): Promise<void> {
  const set = { manifest: Buffer.from(JSON.stringify(manifest)), answerable: Buffer.from(answerable ? 'yes' : 'no') }
  const done = await store.update(keyOf(build), { set, ttlMs })
  if (done === 'missing') await store.create(keyOf(build), set, { ttlMs })
}

/** Null while no clone of this build has said that balancers may answer. */
export async function readManifest(store: Store, build: string): Promise<PageManifest | null> {
  const { manifest, answerable } = (await store.read(keyOf(build))) ?? {}
  if (manifest === undefined || answerable === undefined || Buffer.from(answerable).toString() !== 'yes') return null
  return JSON.parse(Buffer.from(manifest).toString()) as PageManifest
}

function keyOf(build: string): string {
  return `pages:routes:${build}`
}
