/** Articles by well-written joins: one statement for whatever a page shows of them. Writes are Conduit's own. */
import { type SelectQueryBuilder } from 'kysely'
import type { Executor, Schema } from '../../../examples/conduit/src/schema.ts'
import { favoritesCount, isFavorite, isFollowing, tagList } from './expressions.ts'
import type { Profile } from './profiles.ts'

/** An article as lists show it. */
export interface ArticleSummary {
  readonly id: number
  readonly slug: string
  readonly title: string
  readonly description: string
  readonly tagList: string[]
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly favorited: boolean
  readonly favoritesCount: number
  readonly author: Profile & { readonly id: number }
}

export interface Article extends ArticleSummary {
  readonly body: string
}

export type { ArticleChanges, NewArticle } from '../../../examples/conduit/src/domain/articles.ts'
export {
  addFavorite,
  deleteArticle,
  publishArticle,
  removeFavorite,
  updateArticle,
} from '../../../examples/conduit/src/domain/articles.ts'

/** The article at that slug, as `viewer` sees it. */
export async function findArticle(db: Executor, slug: string, viewer: number | null): Promise<Article | undefined> {
  const row = await summaries(db, viewer).select('articles.body').where('articles.slug', '=', slug).executeTakeFirst()
  return row && { ...toSummary(row), body: row.body }
}

/** Articles with all that their readers see of them, in one statement however many they are. */
export function summaries(
  db: Executor,
  viewer: number | null,
): SelectQueryBuilder<Schema & { author: Schema['users'] }, 'articles' | 'author', SummaryRow> {
  return db
    .selectFrom('articles')
    .innerJoin('users as author', 'author.id', 'articles.author_id')
    .select([
      'articles.id',
      'articles.slug',
      'articles.title',
      'articles.description',
      'articles.created_at as createdAt',
      'articles.updated_at as updatedAt',
      'author.id as authorId',
      'author.username',
      'author.bio',
      'author.image',
      tagList.as('tagList'),
      favoritesCount.as('favoritesCount'),
      isFavorite(viewer).as('favorited'),
      isFollowing(viewer, 'author.id').as('following'),
    ])
}

export interface SummaryRow extends Omit<ArticleSummary, 'author'>, Profile {
  readonly authorId: number
}

export function toSummary(row: SummaryRow): ArticleSummary {
  const { id, slug, title, description, createdAt, updatedAt, favorited, username, bio, image, following } = row
  const author = { id: row.authorId, username, bio, image, following }
  const shown = { tagList: row.tagList, favoritesCount: row.favoritesCount }
  return { id, slug, title, description, createdAt, updatedAt, favorited, author, ...shown }
}
