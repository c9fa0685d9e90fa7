/** Articles, one at a time: reading, publishing, changing, favourites. Lists are in `article-lists.ts`. */
import { type SelectQueryBuilder, sql } from 'kysely'
import type { Executor, Schema } from '../schema.ts'
import { notFound } from '../refusal.ts'
import { slugCandidates, slugOf } from '../slugs.ts'
import { refusingGone, violates } from './conflicts.ts'
import { favoritesCount, isFavorite, isFollowing, tagList } from './expressions.ts'
import type { Profile } from './profiles.ts'
import { replaceTags } from './tags.ts'

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

export interface NewArticle {
  readonly title: string
  readonly description: string
  readonly body: string
  readonly tagList: readonly string[]
}

export type ArticleChanges = Partial<NewArticle>

/** The article at that slug, as `viewer` sees it. */
export async function findArticle(db: Executor, slug: string, viewer: number | null): Promise<Article | undefined> {
  const row = await summaries(db, viewer).select('articles.body').where('articles.slug', '=', slug).executeTakeFirst()
  return row && { ...toSummary(row), body: row.body }
}

/** Publishes an article and answers its slug, which no other article has. */
export async function publishArticle(db: Executor, authorId: number, article: NewArticle): Promise<string> {
  const { title, description, body } = article
  return withFreeSlug(title, (slug) =>
    db.transaction().execute(async (trx) => {
      const { id } = await trx
        .insertInto('articles')
        .values({ slug, title, description, body, author_id: authorId })
        .returning('id')
        .executeTakeFirstOrThrow()
      await replaceTags(trx, id, article.tagList)
      return slug
    }),
  )
}

/** Changes what was sent and nothing else; answers the slug, a new one if the title asks for it. */
export async function updateArticle(db: Executor, article: ArticleSummary, changes: ArticleChanges): Promise<string> {
  const { title } = changes
  if (title === undefined) return change(db, article.id, changes)
  return withFreeSlug(title, (slug) => change(db, article.id, changes, slug))
}

/** The row is locked first: another change may have given the article another slug since it was read. */
async function change(db: Executor, id: number, changes: ArticleChanges, wantedSlug?: string): Promise<string> {
  const { tagList: tags, ...columns } = changes
  return db.transaction().execute(async (trx) => {
    const now = await trx
      .selectFrom('articles')
      .select(['slug', 'title'])
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirst()
    if (!now) throw notFound('article')
    const keepsSlug = columns.title === undefined || slugOf(columns.title) === slugOf(now.title)
    const slug = keepsSlug ? now.slug : (wantedSlug ?? now.slug)
    await trx
      .updateTable('articles')
      .set({ ...columns, slug, updated_at: sql`now()` })
      .where('id', '=', id)
      .execute()
    if (tags) await replaceTags(trx, id, tags)
    return slug
  })
}

export async function deleteArticle(db: Executor, id: number): Promise<void> {
  await db.deleteFrom('articles').where('id', '=', id).execute()
}

/** A favourite twice is a favourite once. */
export async function addFavorite(db: Executor, articleId: number, userId: number): Promise<void> {
  await refusingGone('article', () =>
    db
      .insertInto('favorites')
      .values({ article_id: articleId, user_id: userId })
      .onConflict((conflict) => conflict.doNothing())
      .execute(),
  )
}

export async function removeFavorite(db: Executor, articleId: number, userId: number): Promise<void> {
  await db.deleteFrom('favorites').where('article_id', '=', articleId).where('user_id', '=', userId).execute()
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

/** Tries a title's slugs until the write meets none that is taken. */
async function withFreeSlug(title: string, write: (slug: string) => Promise<string>): Promise<string> {
  let taken: unknown
  for (const slug of slugCandidates(title)) {
    try {
      return await write(slug)
    } catch (error) {
      if (!violates(error, 'articles_slug_key')) throw error
      taken = error
    }
  }
  throw taken
}
