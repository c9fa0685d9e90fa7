/**
 * Feeds as cached objects: the articles of those whom a reader follows. The follows are read first, then the articles of
 * these authors. Asked for in one statement, a feed would depend on all articles, since only the database would know
 * whose count; like this, a new article ends the feeds of its author's followers, and no others.
 */
import { type SelectQueryBuilder, sql } from 'kysely'
import type { LoadTools } from 'fourfold'
import type { Schema } from '../schema.ts'
import { anyOf, defineObject } from './define.ts'
import { followedBy } from './people.ts'

export type FeedKey = { readonly reader: number; readonly limit: number; readonly offset: number }

/** The ids of one page of a reader's feed, newest first. */
export const feedPage = defineObject({
  name: 'feed-page',
  load: async (tools, { reader, limit, offset }: FeedKey): Promise<readonly number[]> => {
    const articles = await articlesFor(tools, reader)
    if (articles === null) return []
    const page = articles.select('id').orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).offset(offset)
    return (await page.execute()).map((row) => row.id)
  },
})

/** How many articles the whole feed of the reader of that id has. */
export const feedCount = defineObject({
  name: 'feed-count',
  load: async (tools, reader: number): Promise<number> => {
    const articles = await articlesFor(tools, reader)
    if (articles === null) return 0
    return (await articles.select(sql<number>`count(*)::int`.as('total')).executeTakeFirstOrThrow()).total
  },
})

async function articlesFor(
  { main, use }: LoadTools<{ main: Schema }>,
  reader: number,
): Promise<SelectQueryBuilder<Schema, 'articles', object> | null> {
  const authors = await use(followedBy, reader)
  if (authors === null || authors.size === 0) return null
  return main.selectFrom('articles').where('author_id', '=', anyOf([...authors]))
}
