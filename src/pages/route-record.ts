/**
 * The pages of a build, written down in the store by whatever process opens the app: a balancer has none of the app's
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

export async function writeManifest(store: Store, build: string, manifest: PageManifest): Promise<void> {
  const set = { manifest: Buffer.from(JSON.stringify(manifest)) }
  const done = await store.update(keyOf(build), { set, ttlMs })
  if (done === 'missing') await store.create(keyOf(build), set, { ttlMs })
}

/**
 * Said by each clone that serves, once it has made its server: whether balancers may answer the pages. Where adapters give
 * requests levels of their own, they may not: no balancer knows these.
 */
export async function writeAnswerable(store: Store, build: string, answerable: boolean): Promise<void> {
  await store.update(keyOf(build), { set: { answerable: Buffer.from(answerable ? 'yes' : 'no') } })
}

/** Null while no process of this build has opened the app, and none that serves has said that balancers may answer. */
export async function readManifest(store: Store, build: string): Promise<PageManifest | null> {
  const { manifest, answerable } = (await store.read(keyOf(build))) ?? {}
  if (manifest === undefined || answerable === undefined || Buffer.from(answerable).toString() !== 'yes') return null
  return JSON.parse(Buffer.from(manifest).toString()) as PageManifest
}

function keyOf(build: string): string {
  return `pages:routes:${build}`
}
