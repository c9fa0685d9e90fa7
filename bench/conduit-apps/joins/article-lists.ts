/** Lists of articles: newest first, the total counted before paging. */
import { type SelectQueryBuilder, sql } from 'kysely'
import type { Executor, Schema } from '../../../examples/conduit/src/schema.ts'
import { type ArticleSummary, summaries, toSummary } from './articles.ts'

export interface Paging {
  readonly limit: number
  readonly offset: number
}

/** Which articles: all conditions that are given must hold. */
export interface ArticleFilter {
  readonly tag?: string
  /** The author's name. */
  readonly author?: string
  /** The name of a user who has the article among their favourites. */
  readonly favorited?: string
  /** The id of a user who follows the author. */
  readonly followedBy?: number
}

export interface ArticleList {
  readonly articles: ArticleSummary[]
  readonly articlesCount: number
}

/** One page of the articles that match, as `viewer` (a user's id, or null) sees them. */
export async function listArticles(
  db: Executor,
  filter: ArticleFilter,
  paging: Paging,
  viewer: number | null,
): Promise<ArticleList> {
  const [articles, articlesCount] = await Promise.all([pageOf(db, filter, paging, viewer), countArticles(db, filter)])
  return { articles, articlesCount }
}

/**
 * The page's ids are found first, from the index alone: counts and tags are then looked up for the rows that are
 * shown, not for those that the offset skips.
 */
async function pageOf(
  db: Executor,
  filter: ArticleFilter,
  { limit, offset }: Paging,
  viewer: number | null,
): Promise<ArticleSummary[]> {
  const page = onlyTag(filter)
    ? taggedPage(db, filter.tag, { limit, offset })
    : matching(db, filter)
        .select('articles.id')
        .orderBy('articles.created_at', 'desc')
        .orderBy('articles.id', 'desc')
        .limit(limit)
        .offset(offset)
  const rows = await summaries(db, viewer)
    .where('articles.id', 'in', page)
    .orderBy('articles.created_at', 'desc')
    .orderBy('articles.id', 'desc')
    .execute()
  return rows.map(toSummary)
}

/** One page of the articles of those whom `reader` follows. */
export async function listFeed(db: Executor, reader: number, paging: Paging): Promise<ArticleList> {
  return listArticles(db, { followedBy: reader }, paging, reader)
}

function onlyTag(filter: ArticleFilter): filter is { tag: string } {
  return Object.entries(filter).every(([name, value]) => (name === 'tag') === (value !== undefined))
}

/** A tag's newest articles stand in the order of one index. */
function taggedPage(db: Executor, tag: string, { limit, offset }: Paging) {
  return db
    .selectFrom('article_tags')
    .select('article_id as id')
    .where('tag_id', '=', db.selectFrom('tags').select('tags.id').where('name', '=', tag))
    .orderBy('article_created_at', 'desc')
    .orderBy('article_id', 'desc')
    .limit(limit)
    .offset(offset)
}

async function countArticles(db: Executor, filter: ArticleFilter): Promise<number> {
  if (onlyTag(filter)) {
    const tagged = db.selectFrom('article_tags').innerJoin('tags', 'tags.id', 'article_tags.tag_id')
    const count = tagged.select(sql<number>`count(*)::int`.as('total')).where('tags.name', '=', filter.tag)
    return (await count.executeTakeFirstOrThrow()).total
  }
  const row = await matching(db, filter)
    .select(sql<number>`count(*)::int`.as('total'))
    .executeTakeFirstOrThrow()
  return row.total
}

export function matching(db: Executor, filter: ArticleFilter): SelectQueryBuilder<Schema, 'articles', object> {
  const { tag, author, favorited, followedBy } = filter
  const userNamed = (username: string) => db.selectFrom('users').select('users.id').where('username', '=', username)
  let query: SelectQueryBuilder<Schema, 'articles', object> = db.selectFrom('articles')
  if (author !== undefined) query = query.where('articles.author_id', '=', userNamed(author))
  if (tag !== undefined) {
    // The tag's id is looked up first: with a join the planner tries every article's tags where few or none match.
    const tagId = db.selectFrom('tags').select('tags.id').where('name', '=', tag)
    const tagged = db.selectFrom('article_tags').select('article_tags.article_id').where('tag_id', '=', tagId)
    query = query.where('articles.id', 'in', tagged)
  }
  if (favorited !== undefined) {
    const favorites = db.selectFrom('favorites').select('favorites.article_id')
    query = query.where('articles.id', 'in', favorites.where('favorites.user_id', '=', userNamed(favorited)))
  }
  if (followedBy !== undefined) {
    const followed = db.selectFrom('follows').select('follows.followed_id')
    query = query.where('articles.author_id', 'in', followed.where('follows.follower_id', '=', followedBy))
  }
  return query
}
