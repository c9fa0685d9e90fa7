/** `?page=N`. */
import type { Paging } from '../domain/article-lists.ts'
import { notFound } from '../refusal.ts'

/** Beyond this the offset would not fit PostgreSQL's `integer`, and nobody reads so far. */
const LAST_PAGE = 10_000_000

/** The page that is asked for; an address with a page that cannot be is not found. */
export function pageNumber({ page }: { readonly page?: unknown }): number {
  if (page === undefined) return 1
  const number = typeof page === 'string' && /^[1-9]\d{0,7}$/.test(page) ? Number(page) : Infinity
  if (number > LAST_PAGE) throw notFound('route')
  return number
}

export function pagingOf(page: number, size: number): Paging {
  return { limit: size, offset: (page - 1) * size }
}

/** The addresses of a list's pages: this one's, with its other parameters. */
export function withPage(url: string): (page: number) => string {
  const [, pathname = '', query = ''] = /^([^?#]*)(?:\?([^#]*))?/.exec(url) ?? []
  // Two slashes would begin the address of another host.
  const path = pathname.replace(/^\/+/, '/')
  return (page) => {
    const parameters = new URLSearchParams(query)
    parameters.set('page', String(page))
    return `${path}?${parameters.toString()}`
  }
}
