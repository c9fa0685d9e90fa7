/**
 * Articles as cached objects, by their ids. What changes at another pace is an object of its own, and a card puts
 * together what lists show of an article: a favourite ends a count and one card, and the card's other parts stay. None
 * of them knows who reads.
 */
import { sql } from 'kysely'
import type { LoadContext } from 'fourfold'
import { anyOf, defineObject } from './define.ts'
import { type PublicProfile, profile } from './people.ts'
import { tagName } from './tags.ts'

/** What stands in the table of articles, but for the text. */
export interface ArticleRow {
  readonly id: number
  readonly slug: string
  readonly title: string
  readonly description: string
  readonly authorId: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** What everybody sees of an article in a list. */
export interface ArticleCard extends Omit<ArticleRow, 'authorId'> {
  readonly tagList: readonly string[]
  readonly favoritesCount: number
  readonly author: PublicProfile
}

const COLUMNS = [
  'id',
  'slug',
  'title',
  'description',
  'author_id as authorId',
  'created_at as createdAt',
  'updated_at as updatedAt',
] as const

export const article = defineObject({
  name: 'article',
  load: async ({ main }, id: number): Promise<ArticleRow | null> =>
    (await main.selectFrom('articles').select(COLUMNS).where('id', '=', id).executeTakeFirst()) ?? null,
  loadMany: async ({ main }, ids: readonly number[]) => {
    const rows = await main.selectFrom('articles').select(COLUMNS).where('id', '=', anyOf(ids)).execute()
    return new Map(rows.map((row) => [row.id, row]))
  },
  loadManyBy: 'id',
})

/** The id of the article at that slug. */
export const articleIdAt = defineObject({
  name: 'article-id',
  load: async ({ main }, slug: string): Promise<number | null> => {
    const row = await main.selectFrom('articles').select('id').where('slug', '=', slug).executeTakeFirst()
    return row?.id ?? null
  },
})

/** An article's tags, in their author's order. */
export const tagList = defineObject({
  name: 'tag-list',
  load: async ({ main, useMany }, article: number): Promise<readonly string[]> => {
    const rows = await main
      .selectFrom('article_tags')
      .select('tag_id')
      .where('article_id', '=', article)
      .orderBy('position')
      .execute()
    return (
      await useMany(
        tagName,
        rows.map((row) => row.tag_id),
      )
    ).filter((name) => name !== null)
  },
  loadMany: async ({ main, useMany }, articles: readonly number[]) => {
    const rows = await main
      .selectFrom('article_tags')
      .select(['article_id', 'tag_id'])
      .where('article_id', '=', anyOf(articles))
      .orderBy('position')
      .execute()
    const names = await useMany(
      tagName,
      rows.map((row) => row.tag_id),
    )
    const lists = new Map<number, string[]>(articles.map((id) => [id, []]))
    for (const [index, row] of rows.entries()) lists.get(row.article_id)?.push(names[index] ?? '')
    return lists
  },
  loadManyBy: 'article_id',
})

const FANS = sql<number>`count(*)::int`

/** How many users have an article among their favourites. */
export const favoritesCount = defineObject({
  name: 'favorites-count',
  load: async ({ main }, article: number): Promise<number> => {
    const query = main.selectFrom('favorites').select(FANS.as('fans')).where('article_id', '=', article)
    return (await query.executeTakeFirstOrThrow()).fans
  },
  loadMany: async ({ main }, articles: readonly number[]) => {
    const rows = await main
      .selectFrom('favorites')
      .select(['article_id', FANS.as('fans')])
      .where('article_id', '=', anyOf(articles))
      .groupBy('article_id')
      .execute()
    const counts = new Map(articles.map((id) => [id, 0]))
    for (const row of rows) counts.set(row.article_id, row.fans)
    return counts
  },
  loadManyBy: 'article_id',
})

/** Parts of cards that are loaded together are loaded in one batch each, so a card needs no batch of its own. */
export const articleCard = defineObject({
  name: 'article-card',
  load: async ({ use }, id: number): Promise<ArticleCard | null> => {
    const row = await use(article, id)
    return row && cardOf(use, row)
  },
})

/** An article with its text: of one statement, so that nobody sees the title of one edition above the text of another. */
export const articleInFull = defineObject({
  name: 'article-in-full',
  load: async ({ main, use }, id: number): Promise<(ArticleCard & { readonly body: string }) | null> => {
    const query = main.selectFrom('articles').select([...COLUMNS, 'body'])
    const row = await query.where('id', '=', id).executeTakeFirst()
    return row === undefined ? null : cardOf(use, row)
  },
})

/** Null where the author is gone, who took their articles along. */
async function cardOf<Row extends ArticleRow>(
  use: LoadContext['use'],
  { authorId, ...shown }: Row,
): Promise<(Omit<Row, 'authorId'> & Pick<ArticleCard, 'tagList' | 'favoritesCount' | 'author'>) | null> {
  const { id } = shown
  const [author, tags, fans] = await Promise.all([use(profile, authorId), use(tagList, id), use(favoritesCount, id)])
  return author && { ...shown, tagList: tags ?? [], favoritesCount: fans ?? 0, author }
}

/** The ids of the articles that the user of that id has among their favourites. */
export const favoritesOf = defineObject({
  name: 'favorites',
  load: async ({ main }, user: number): Promise<ReadonlySet<number>> => {
    const rows = await main.selectFrom('favorites').select('article_id').where('user_id', '=', user).execute()
    return new Set(rows.map((row) => row.article_id))
  },
})
