/** The query parameters of lists. */
import type { ArticleFilter, Paging } from '../domain/article-lists.ts'
import { Input } from '../input.ts'
import { Refusal } from '../refusal.ts'

const DEFAULT_LIMIT = 20
const MAX_LIMIT = 1000
/** The largest number that PostgreSQL's `integer` holds. */
const MAX_OFFSET = 2 ** 31 - 1

type Query = Readonly<Record<string, unknown>>

export function readPaging(query: unknown): Paging {
  const { limit, offset } = query as Query
  return {
    limit: readCount('limit', limit, { default: DEFAULT_LIMIT, min: 1, max: MAX_LIMIT }),
    offset: readCount('offset', offset, { default: 0, min: 0, max: MAX_OFFSET }),
  }
}

export function readFilter(query: unknown): ArticleFilter {
  const input = new Input(query as Query)
  const filter = {
    tag: input.changedText('tag', { max: 1000 }),
    author: input.changedText('author', { max: 1000 }),
    favorited: input.changedText('favorited', { max: 1000 }),
  }
  input.verify()
  return filter
}

function readCount(name: string, value: unknown, range: { default: number; min: number; max: number }): number {
  if (value === undefined) return range.default
  const count = typeof value === 'string' && /^\d{1,10}$/.test(value) ? Number(value) : NaN
  if (count >= range.min && count <= range.max) return count
  throw new Refusal(422, { [name]: [`must be a whole number from ${range.min} to ${range.max}`] })
}
