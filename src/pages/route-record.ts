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
  /** Whether the app's adapter gives requests levels of their own, which no balancer knows: clones answer then. */
  readonly perRequest?: boolean
  /** The settings of the build that decide whom a balancer may answer: one that was started with others leaves it to clones. */
  readonly settings?: string
}

const ttlMs = 30 * 24 * 3_600_000

export async function writeManifest(store: Store, build: string, manifest: PageManifest): Promise<void> {
  const set = { manifest: Buffer.from(JSON.stringify(manifest)) }
  const done = await store.update(keyOf(build), { set, ttlMs })
  if (done === 'missing') await store.create(keyOf(build), set, { ttlMs })
}

/** Null while no process of this build has opened the app. */
export async function readManifest(store: Store, build: string): Promise<PageManifest | null> {
  const bytes = (await store.read(keyOf(build)))?.['manifest']
  return bytes === undefined ? null : (JSON.parse(Buffer.from(bytes).toString()) as PageManifest)
}

function keyOf(build: string): string {
  return `pages:routes:${build}`
}
