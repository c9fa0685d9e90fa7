/** Publishing without an app: a store, and bakes that a test makes up. */

import { join } from 'node:path'

import { silentLogger } from '../../src/core/log.ts'
import { makeDocument } from '../../src/pages/document.ts'
import { createPublishing, type BakedPage, type PageName, type Publishing } from '../../src/pages/publish/publishing.ts'
import { surrogateFields } from '../../src/pages/publish/edge/surrogate-keys.ts'
import { connectStore } from '../../src/store/connect.ts'
import { startStoreServer } from '../../src/store/memory/server.ts'
import { endAfter, makeDirectory, type Cleanup } from './postgres.ts'

import type { PublishingOptions } from '../../src/pages/publish/publishing.ts'
import type { Store } from '../../src/store/store.ts'

export interface BakeOptions {
  readonly status?: number
  readonly type?: string
  /** What it read up to. Default: one more than the bake before. */
  readonly asOf?: number
  readonly bakedAtMs?: number
  readonly headers?: readonly string[]
}

export interface PublishGround {
  readonly store: Store
  readonly directory: string
  /** What the tier has, by id. */
  readonly bakes: Map<string, BakedPage>
  bake(body: string, options?: BakeOptions): Promise<BakedPage>
  /** A worker's part, which ends with the test. */
  worker(options: Partial<PublishingOptions>): Publishing
  /** Another connection to the store. */
  connect(): Promise<Store>
}

let lastAsOf = 1_000

export async function publishGround(t: Cleanup): Promise<PublishGround> {
  const directory = await makeDirectory(t, 'ff-publish-')
  const socketPath = join(directory, 'store.sock')
  const server = await startStoreServer({ socketPath, logPath: join(directory, 'store.log'), log: silentLogger })
  endAfter(t, () => server.stop())
  const connect = async (): Promise<Store> => {
    const store = await connectStore({ url: `unix:${socketPath}`, deadlineMs: 2_000 })
    endAfter(t, () => store.close())
    return store
  }
  const store = await connect()
  const bakes = new Map<string, BakedPage>()
  return {
    store,
    directory,
    bakes,
    connect,
    bake: async (body, { status = 200, type = 'text/html; charset=utf-8', asOf = (lastAsOf += 1), ...more } = {}) => {
      const headers = ['content-type', type, ...(more.headers ?? [])]
      const document = await makeDocument(status, headers, Buffer.from(body), more.bakedAtMs ?? Date.now())
      return { document, parts: [{ database: 'main', epoch: 'e', asOf, replica: false, dependencies: [] as never }] }
    },
    worker: (options) => {
      const find = async (id: string): Promise<BakedPage | null> => bakes.get(id) ?? null
      const isKept = async (id: string): Promise<boolean> => bakes.has(id)
      const places = { publishers: [], edges: [] }
      const defaults = { store, build: 'b', ...places, find, isKept, missing: () => undefined, log: silentLogger }
      const publishing = createPublishing({ ...defaults, ...options })
      endAfter(t, () => publishing.close())
      return publishing
    },
  }
}

export function nameOf(url: string, path = url): PageName {
  return { url, id: `b:${url}`, path, looksAtQuery: url.includes('?') }
}

/** The fields that pages carry for an edge, flat. */
export function keysOf(header: string, url: string, path = url): string[] {
  return surrogateFields([header], url, path).flat()
}
