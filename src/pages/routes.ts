/**
 * Which page an address is, and which address a page has. The same in every process, from plain data: the balancer has
 * no code of the app.
 *
 * Paths are matched by find-my-way, the router of Fastify.
 */

import findMyWay from 'find-my-way'

import { canonicalKey } from '../cache/keys.ts'
import { FourfoldError } from '../core/errors.ts'
import type { PageReaders } from './readers.ts'

/** A page as every process knows it. Plain data. */
export interface PageRoute {
  readonly path: string
  /** The query parameters that it looks at. */
  readonly query: readonly string[]
  /** Stands before the canonical key in the id of each of its entries. */
  readonly prefix: string
  /** Whether an address with other parameters of the query is no page at all. Default: they are ignored. */
  readonly strict?: boolean
  /** For whom it is; a request of anybody else is the app's to answer. Default: everybody. */
  readonly readers?: PageReaders
}

/** Parameters by name; those of the query with a `?` before it. */
export type PageKey = Readonly<Record<string, string>>

export interface PageMatch {
  /** The place of its route in the table. */
  readonly route: number
  readonly key: PageKey
  /** Of its entry. */
  readonly id: string
}

/** Longer values of parameters are of no page: addresses come from anybody. */
const maxParamLength = 500
/**
 * What no parameter of a page has: `.` and `..` are taken for a place by whoever reads the address that is made of them,
 * a backslash is taken for a slash by some, and a NUL is no text of any database.
 */
const misleading = /[\0\\]|(?:^|\/)\.{1,2}(?:\/|$)/
/** Beside real ones, where a `*` takes both: the address `/a%2Fb` would have the page of `/a/b`. */
const encodedSlash = /%2f/i
const pathPattern = /^(?:\/[^/?#*:]*|\/:[A-Za-z_]\w*)+$|^(?:\/[^/?#*:]*|\/:[A-Za-z_]\w*)*\/\*$/

export class PageRoutes {
  readonly routes: readonly PageRoute[]
  readonly #router = findMyWay({ maxParamLength })

  /** @throws FF_PAGE_DEFINITION for a path that is no pattern, or that two pages share */
  constructor(routes: readonly PageRoute[]) {
    this.routes = routes
    for (const [at, { path }] of routes.entries()) {
      if (!pathPattern.test(path)) {
        throw mistake(path, 'expected segments as "/a/:name", and at most a "*" at the end')
      }
      try {
        this.#router.on('GET', path, () => undefined, { at })
      } catch (error) {
        throw mistake(path, `another page has this path: ${(error as Error).message}`)
      }
    }
  }

  /** @param target path and query, as they stand in a request */
  match(target: string): PageMatch | null {
    const mark = target.indexOf('?')
    const asked = mark < 0 ? target : target.slice(0, mark)
    const found = this.#router.find('GET', asked)
    if (found === null) return null
    const route = (found.store as { readonly at: number }).at
    const { query, prefix, path, strict = false } = this.routes[route]!
    const key: Record<string, string> = { ...found.params } as Record<string, string>
    if (Object.values(key).some((value) => value.length > maxParamLength || misleading.test(value))) return null
    if (key['*'] !== undefined && encodedSlash.test(asked)) return null
    if (mark >= 0 && (strict || query.length > 0)) {
      const given = new URLSearchParams(target.slice(mark + 1))
      if (strict && [...given.keys()].some((name) => !query.includes(name))) return null
      if (!addQuery(key, query, given)) return null
    }
    return { route, key, id: prefix + canonicalKey(key, path) }
  }

  /** The match for parameters that were not read from an address. */
  matchOf(route: number, key: PageKey): PageMatch {
    const { prefix, path } = this.routes[route]!
    return { route, key, id: prefix + canonicalKey(key, path) }
  }

  /** The canonical address of a page: path, then the query in the order of the route. */
  urlOf(route: number, key: PageKey): string {
    return urlOf(this.routes[route]!, key)
  }
}

/** False where one is too long to be of a page, or stands there twice: whose value counts is the app's to say. */
function addQuery(key: Record<string, string>, names: readonly string[], given: URLSearchParams): boolean {
  for (const name of names) {
    const [value, ...more] = given.getAll(name)
    if (value === undefined) continue
    if (more.length > 0 || value.length > maxParamLength || value.includes('\0')) return false
    key[`?${name}`] = value
  }
  return true
}

export function urlOf({ path, query }: Pick<PageRoute, 'path' | 'query'>, key: PageKey): string {
  const filled = path
    .split('/')
    .map((segment) => {
      if (segment === '*') return (key['*'] ?? '').split('/').map(encodeURIComponent).join('/')
      return segment.startsWith(':') ? encodeURIComponent(key[segment.slice(1)] ?? '') : segment
    })
    .join('/')
  const given = new URLSearchParams()
  for (const name of query) if (key[`?${name}`] !== undefined) given.set(name, key[`?${name}`]!)
  return given.size === 0 ? filled : `${filled}?${given.toString()}`
}

function mistake(path: string, message: string): FourfoldError {
  return new FourfoldError('FF_PAGE_DEFINITION', `The page ${path}: ${message}`, { fields: { path } })
}
