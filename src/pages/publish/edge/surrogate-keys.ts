/**
 * The keys under which caches at an edge file a page, so that they can be told to drop it: one of the page and one of
 * its `path`. Made of addresses and of nothing else, so that they stay the same from build to build.
 *
 * In hexadecimal digits: Cloudflare takes `A` and `a` for the same.
 */

import { hash } from 'node:crypto'

/** 80 bits: two of a billion pages share a key about once in two million sites. */
const digits = 20

export function pageKey(url: string): string {
  return `p-${hash('sha256', url, 'hex').slice(0, digits)}`
}

export function routeKey(path: string): string {
  return `r-${hash('sha256', path, 'hex').slice(0, digits)}`
}

/** The names of headers that carry keys, in small letters, and what stands between keys. */
const separators: Readonly<Record<string, string>> = { 'cache-tag': ',' }

/** Fields of a page's answer: names and values. */
export function surrogateFields(headers: readonly string[], url: string, path: string): [string, string][] {
  return headers.map((header) => {
    const name = header.toLowerCase()
    return [name, [pageKey(url), routeKey(path)].join(separators[name] ?? ' ')]
  })
}
