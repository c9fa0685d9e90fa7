/** Routes of the app as pages: whatever they answer as nobody, with what they read through their `ff`. */

import { createHash } from 'node:crypto'

import { parseDuration } from '../core/duration.ts'
import { hashVersion } from '../freshness/changes/hash.ts'
import { documentOf } from './rendered.ts'
import { urlOf, type PageKey } from './routes.ts'

import type { PageOptions } from './define-page.ts'
import type { PageSource } from './page-source.ts'
import type { RouteBakes } from './route-bakes.ts'

/** A route that is baked: its path, and what else there is to say of a page. */
export type BakeRoute = Pick<
  PageOptions<any, string>,
  'path' | 'query' | 'ttl' | 'schedule' | 'headers' | 'browser' | 'edge' | 'version'
> & { readonly params?: readonly Readonly<Record<string, string>>[] }

/** A route may look at any parameter of the query: an address with others than those allowed is no page. */
export function createRouteSource(given: string | BakeRoute, build: string, bakes: RouteBakes): PageSource {
  const options: BakeRoute = typeof given === 'string' ? { path: given } : given
  const { path, query = [], ttl, version = 0, headers, browser, edge } = options
  const text = JSON.stringify([version, headers, browser, edge])
  const code = createHash('sha256').update(text).digest('base64url').slice(0, 12)
  const prefix = `${build}:${hashVersion}:r:${path}:${code}:`
  const route = { path, query, prefix, strict: true }
  return {
    name: path,
    prefix,
    ttlMs: ttl === undefined ? null : parseDuration(ttl),
    values: 'own',
    clusterWide: true,
    baked: true,
    route,
    definition: options,
    load: async (key: PageKey, load) => {
      const url = urlOf(route, key)
      return await documentOf(options, await bakes.ask(url, load), url)
    },
  }
}
