/** Lists of articles with a cache kept by hand: ids by list, articles by id. */
import { type SelectQueryBuilder, sql } from 'kysely'
import type { ArticleFilter, ArticleList, Paging } from '../../../examples/conduit/src/domain/article-lists.ts'
import type { Schema } from '../../../examples/conduit/src/schema.ts'
import { matching } from '../joins/article-lists.ts'
import { articlesSeenBy } from './articles.ts'
import { userIdNamed } from './profiles.ts'
import type { Store } from './store.ts'

export type { ArticleFilter, ArticleList, Paging } from '../../../examples/conduit/src/domain/article-lists.ts'

export async function listArticles(
  store: Store,
  filter: ArticleFilter,
  paging: Paging,
  viewer: number | null,
): Promise<ArticleList> {
  return listAs(store, await listName(store, filter), matching(store.db, filter), paging, viewer)
}

export async function listFeed(store: Store, reader: number, paging: Paging): Promise<ArticleList> {
  return listAs(store, `feed:${reader}`, matching(store.db, { followedBy: reader }), paging, reader)
}

/** Lists by several conditions at once are rare, and end by time alone. */
async function listName(store: Store, { tag, author, favorited }: ArticleFilter): Promise<string> {
  const given = [tag, author, favorited].filter((value) => value !== undefined)
  if (given.length > 1) return `list:mixed:${JSON.stringify([tag, author, favorited])}`
  if (tag !== undefined) return `list:tag:${tag}`
  if (author !== undefined) return `list:author:${await userIdNamed(store, author)}`
  if (favorited !== undefined) return `list:favorited:${await userIdNamed(store, favorited)}`
  return 'list:all'
}

async function listAs(
  store: Store,
  name: string,
  query: SelectQueryBuilder<Schema, 'articles', object>,
  { limit, offset }: Paging,
  viewer: number | null,
): Promise<ArticleList> {
  const { ids, total } = await store.rememberPage(name, `${limit}:${offset}`, async () => {
    const page = query.select('id').orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit).offset(offset)
    const count = query.select(sql<number>`count(*)::int`.as('total'))
    const [rows, counted] = await Promise.all([page.execute(), count.executeTakeFirstOrThrow()])
    return { ids: rows.map((row) => row.id), total: counted.total }
  })
  return { articles: await articlesSeenBy(store, viewer, ids), articlesCount: total }
}
