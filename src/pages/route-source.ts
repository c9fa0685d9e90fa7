/** Routes of the app as pages: whatever they answer as nobody, with what they read through their `ff`. */

import { FourfoldError } from '../core/errors.ts'
import { hashVersion } from '../freshness/changes/hash.ts'
import { codeOf, pageSourceOf, type PageSource } from './page-source.ts'
import { documentOf } from './rendered.ts'
import { urlOf } from './routes.ts'

import type { PageOptions } from './define-page.ts'
import type { RouteBakes } from './route-bakes.ts'

/** A route that is baked: its path, and what else there is to say of a page. */
export type BakeRoute = Pick<
  PageOptions<any, string>,
  'path' | 'query' | 'ttl' | 'schedule' | 'headers' | 'browser' | 'edge' | 'version'
> & {
  readonly params?: readonly Readonly<Record<string, string>>[]
  /** Under which name readers know it, for what it makes links and redirects of: `https://www.example.com`. */
  readonly origin?: string
}

/** @throws FF_PAGE_DEFINITION */
function checkOrigin({ path, origin }: BakeRoute): void {
  const isOne = origin === undefined || (/^https?:/.test(origin) && URL.parse(origin)?.origin === origin)
  if (isOne) return
  const message = `The route ${path}: expected an origin as "https://www.example.com", got ${JSON.stringify(origin)}`
  throw new FourfoldError('FF_PAGE_DEFINITION', message, { fields: { path } })
}

/** A route may look at any parameter of the query: an address with others than those allowed is no page. */
export function createRouteSource(given: string | BakeRoute, build: string, bakes: RouteBakes): PageSource {
  const options: BakeRoute = typeof given === 'string' ? { path: given } : given
  checkOrigin(options)
  const { path, query = [], version = 0, headers, browser, edge, origin } = options
  const prefix = `${build}:${hashVersion}:r:${path}:${codeOf(version, headers, browser, edge, origin)}:`
  const route = { path, query, prefix, strict: true }
  const load: PageSource['load'] = async (key, loading) => {
    const url = urlOf(route, key)
    return await documentOf(options, await bakes.ask(url, loading, origin), url)
  }
  return pageSourceOf(options, route, { load, ofRoute: true })
}
