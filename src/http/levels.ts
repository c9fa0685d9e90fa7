/**
 * The level of a request's reads, as adapters are told it: one for all requests, by the beginnings of their paths, or by a
 * function of the request. Paths can be looked at ahead: where none of the app's pages stands under one, balancers go on
 * answering pages, which they leave to clones where a function might ask for more than they know.
 */

import type { Level } from '../freshness/level.ts'
import type { Pages } from '../pages/pages.ts'

export type LevelOption<Request> =
  | Level
  /** By the beginning of the path, in whole segments; the longest counts: `{ '/api': 'strict' }`. */
  | Readonly<Record<string, Level>>
  | ((request: Request) => Level | undefined)
  | undefined

/** @param targetOf path and query of a request */
export function createLevels<Request>(
  option: LevelOption<Request>,
  pages: Pick<Pages, 'perRequest' | 'routes'>,
  targetOf: (request: Request) => string,
): (request: Request) => Level | undefined {
  if (option === undefined) return () => undefined
  if (typeof option === 'object') return byPath(option, pages, targetOf)
  pages.perRequest = true
  return typeof option === 'function' ? option : () => option
}

function byPath<Request>(
  levels: Readonly<Record<string, Level>>,
  pages: Pick<Pages, 'perRequest' | 'routes'>,
  targetOf: (request: Request) => string,
): (request: Request) => Level | undefined {
  const longestFirst = Object.entries(levels).toSorted(([one], [other]) => other.length - one.length)
  const reaches = ({ path }: { readonly path: string }): boolean => {
    const open = path.search(/[:*]/)
    if (open < 0) return longestFirst.some(([prefix]) => isUnder(path, prefix))
    const fixed = path.slice(0, open)
    return longestFirst.some(([prefix]) => fixed.startsWith(prefix) || prefix.startsWith(fixed))
  }
  if ((pages.routes?.routes ?? []).some(reaches)) pages.perRequest = true
  return (request) => {
    const [path = ''] = targetOf(request).split('?', 1)
    return longestFirst.find(([prefix]) => isUnder(path, prefix))?.[1]
  }
}

function isUnder(path: string, prefix: string): boolean {
  return (
    path.startsWith(prefix) && (path.length === prefix.length || prefix.endsWith('/') || path[prefix.length] === '/')
  )
}
