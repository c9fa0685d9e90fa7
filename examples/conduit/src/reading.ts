/** What reads need: the cache of a request, or, while a page is baked, what its render was given. */
import type { Cache, PageTools } from 'fourfold'
import { CompiledQuery } from 'kysely'
import type { Schema } from './schema.ts'

export type Reading = Pick<Cache, 'get' | 'getMany'> & {
  query<Row>(sql: string, parameters?: readonly unknown[]): Promise<Row[]>
}

/** The same reads inside a page's render: the page depends on all of them. */
export function readingOf({ main, use, useMany }: PageTools<{ main: Schema }>): Reading {
  return {
    get: use,
    getMany: useMany,
    query: async <Row>(sql: string, parameters: readonly unknown[] = []) =>
      (await main.executeQuery(CompiledQuery.raw(sql, [...parameters]) as CompiledQuery<Row>)).rows,
  }
}
