/** Lists of articles: newest first, the total counted before paging. */
import { articleCount, articlePage } from '../objects/article-lists.ts'
import { feedCount, feedPage } from '../objects/feeds.ts'
import { type ArticleSummary, articlesSeenBy } from './articles.ts'
import type { Reading } from '../reading.ts'

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
}

type Filter = { readonly [Name in keyof ArticleFilter]: ArticleFilter[Name] | null }

export interface ArticleList {
  readonly articles: ArticleSummary[]
  readonly articlesCount: number
}

/** One page of the articles that match, as `viewer` (a user's id, or null) sees them. */
export async function listArticles(
  cache: Reading,
  { tag = null, author = null, favorited = null }: Filter,
  paging: Paging,
  viewer: number | null,
): Promise<ArticleList> {
  const list = { tag, author, favorited }
  const [ids, total] = await Promise.all([
    cache.get(articlePage, { ...list, ...paging }),
    cache.get(articleCount, list),
  ])
  return { articles: await articlesSeenBy(cache, viewer, ids ?? []), articlesCount: total ?? 0 }
}

/** One page of the articles of those whom `reader` follows. */
export async function listFeed(cache: Reading, reader: number, paging: Paging): Promise<ArticleList> {
  const [ids, total] = await Promise.all([cache.get(feedPage, { reader, ...paging }), cache.get(feedCount, reader)])
  return { articles: await articlesSeenBy(cache, reader, ids ?? []), articlesCount: total ?? 0 }
}
