/** Articles, one at a time: reading, publishing, changing, favourites. Lists are in `article-lists.ts`. */
import { sql } from 'kysely'
import { type ArticleCard, articleCard, articleIdAt, articleInFull, favoritesOf } from '../objects/articles.ts'
import { followedBy } from '../objects/people.ts'
import type { Reading } from '../reading.ts'
import type { Executor } from '../schema.ts'
import { notFound } from '../refusal.ts'
import { slugCandidates, slugOf } from '../slugs.ts'
import { refusingGone, violates } from './conflicts.ts'
import type { FoundProfile } from './profiles.ts'
import { replaceTags } from './tags.ts'

/** An article as lists show it. */
export interface ArticleSummary {
  readonly id: number
  readonly slug: string
  readonly title: string
  readonly description: string
  readonly tagList: readonly string[]
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly favorited: boolean
  readonly favoritesCount: number
  readonly author: FoundProfile
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

/** The article at that slug, as `viewer` (a user's id, or null) sees it. */
export async function findArticle(cache: Reading, slug: string, viewer: number | null): Promise<Article | undefined> {
  const id = await cache.get(articleIdAt, slug)
  if (id === null) return undefined
  const [found, sight] = await Promise.all([cache.get(articleInFull, id), sightOf(cache, viewer)])
  return found === null ? undefined : seen(found, sight)
}

/** The articles of these ids that there are, in their order, as `viewer` sees them. */
export async function articlesSeenBy(
  cache: Reading,
  viewer: number | null,
  ids: readonly number[],
): Promise<ArticleSummary[]> {
  const [cards, sight] = await Promise.all([cache.getMany(articleCard, ids), sightOf(cache, viewer)])
  return cards.filter((card) => card !== null).map((card) => seen(card, sight))
}

/** What a viewer adds to what everybody sees. */
interface Sight {
  readonly favorites: ReadonlySet<number> | null
  readonly followed: ReadonlySet<number> | null
}

async function sightOf(cache: Reading, viewer: number | null): Promise<Sight> {
  if (viewer === null) return { favorites: null, followed: null }
  const [favorites, followed] = await Promise.all([cache.get(favoritesOf, viewer), cache.get(followedBy, viewer)])
  return { favorites, followed }
}

function seen<Card extends ArticleCard>(
  card: Card,
  { favorites, followed }: Sight,
): Card & { readonly favorited: boolean; readonly author: FoundProfile } {
  const author = { ...card.author, following: followed?.has(card.author.id) ?? false }
  return { ...card, author, favorited: favorites?.has(card.id) ?? false }
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
