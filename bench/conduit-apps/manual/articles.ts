/** Articles with a cache kept by hand. */
import { sql } from 'kysely'
import * as own from '../../../examples/conduit/src/domain/articles.ts'
import type { Executor } from '../../../examples/conduit/src/schema.ts'
import { favoritesCount, tagList } from '../joins/expressions.ts'
import { forgetLists, tagsOf } from './forget-lists.ts'
import { followedBy } from './profiles.ts'
import { type Store, storeOf } from './store.ts'

export type {
  Article,
  ArticleChanges,
  ArticleSummary,
  NewArticle,
} from '../../../examples/conduit/src/domain/articles.ts'

interface Card extends Omit<own.ArticleSummary, 'createdAt' | 'updatedAt' | 'favorited' | 'author'> {
  readonly createdAt: string
  readonly updatedAt: string
  readonly author: {
    readonly id: number
    readonly username: string
    readonly bio: string | null
    readonly image: string | null
  }
}

export async function findArticle(store: Store, slug: string, viewer: number | null): Promise<own.Article | undefined> {
  const id = await store.remember(`slug:${slug}`, async () => {
    const row = await store.db.selectFrom('articles').select('id').where('slug', '=', slug).executeTakeFirst()
    return row?.id ?? null
  })
  if (id === null) return undefined
  const [[found], body] = await Promise.all([
    articlesSeenBy(store, viewer, [id]),
    store.remember(`body:${id}`, async () => {
      const row = await store.db.selectFrom('articles').select('body').where('id', '=', id).executeTakeFirst()
      return row?.body ?? null
    }),
  ])
  return found && body !== null ? { ...found, body } : undefined
}

export async function articlesSeenBy(
  store: Store,
  viewer: number | null,
  ids: readonly number[],
): Promise<own.ArticleSummary[]> {
  const [cards, favorites, followed] = await Promise.all([
    store.rememberMany<Card>('card', ids, (missing) => loadCards(store.db, missing)),
    viewer === null ? [] : favoritesOf(store, viewer),
    viewer === null ? [] : followedBy(store, viewer),
  ])
  const [liked, following] = [new Set(favorites), new Set(followed)]
  return cards.flatMap((card) => {
    if (card === null) return []
    const times = { createdAt: new Date(card.createdAt), updatedAt: new Date(card.updatedAt) }
    const author = { ...card.author, following: following.has(card.author.id) }
    return [{ ...card, ...times, favorited: liked.has(card.id), author }]
  })
}

export async function publishArticle(db: Executor, authorId: number, article: own.NewArticle): Promise<string> {
  const slug = await own.publishArticle(db, authorId, article)
  await forgetLists(db, authorId, article.tagList)
  return slug
}

export async function updateArticle(
  db: Executor,
  article: own.ArticleSummary,
  changes: own.ArticleChanges,
): Promise<string> {
  const slug = await own.updateArticle(db, article, changes)
  const lists = changes.tagList ? [...article.tagList, ...changes.tagList].map((tag) => `list:tag:${tag}`) : []
  if (changes.tagList) lists.push('tags')
  await storeOf(db).forget(`card:${article.id}`, `body:${article.id}`, `slug:${article.slug}`, ...lists)
  return slug
}

export async function deleteArticle(db: Executor, id: number): Promise<void> {
  const row = await db.selectFrom('articles').select(['author_id', 'slug']).where('id', '=', id).executeTakeFirst()
  const tags = await tagsOf(db, id)
  await own.deleteArticle(db, id)
  if (row === undefined) return
  await storeOf(db).forget(`card:${id}`, `body:${id}`, `slug:${row.slug}`, `comments:${id}`)
  await forgetLists(db, row.author_id, tags)
}

export async function addFavorite(db: Executor, articleId: number, userId: number): Promise<void> {
  await own.addFavorite(db, articleId, userId)
  await forgetFavorite(db, articleId, userId)
}

export async function removeFavorite(db: Executor, articleId: number, userId: number): Promise<void> {
  await own.removeFavorite(db, articleId, userId)
  await forgetFavorite(db, articleId, userId)
}

async function forgetFavorite(db: Executor, articleId: number, userId: number): Promise<void> {
  await storeOf(db).forget(`card:${articleId}`, `favorites:${userId}`, `list:favorited:${userId}`)
}

export async function favoritesOf(store: Store, user: number): Promise<readonly number[]> {
  const ids = await store.remember(`favorites:${user}`, async () => {
    const rows = await store.db.selectFrom('favorites').select('article_id').where('user_id', '=', user).execute()
    return rows.map((row) => row.article_id)
  })
  return ids ?? []
}

async function loadCards(db: Executor, ids: readonly number[]): Promise<ReadonlyMap<number, Card>> {
  const rows = await db
    .selectFrom('articles')
    .innerJoin('users as author', 'author.id', 'articles.author_id')
    .select(['articles.id', 'slug', 'title', 'description', 'articles.created_at', 'articles.updated_at', 'author_id'])
    .select([
      'author.username',
      'author.bio',
      'author.image',
      tagList.as('tagList'),
      favoritesCount.as('favoritesCount'),
    ])
    .where('articles.id', '=', sql<number>`any(${ids})`)
    .execute()
  return new Map(
    rows.map(({ author_id, username, bio, image, created_at, updated_at, ...row }) => {
      const times = { createdAt: created_at.toISOString(), updatedAt: updated_at.toISOString() }
      return [row.id, { ...row, ...times, author: { id: author_id, username, bio, image } }]
    }),
  )
}
