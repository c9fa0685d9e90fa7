/** Comments with a cache kept by hand. */
import * as own from '../../../examples/conduit/src/domain/comments.ts'
import type { Executor } from '../../../examples/conduit/src/schema.ts'
import { profilesSeenBy } from './profiles.ts'
import { type Store, storeOf } from './store.ts'

export type { Comment } from '../../../examples/conduit/src/domain/comments.ts'

interface Row {
  readonly id: number
  readonly body: string
  readonly authorId: number
  readonly createdAt: string
  readonly updatedAt: string
}

export async function listComments(store: Store, articleId: number, viewer: number | null): Promise<own.Comment[]> {
  const rows = (await store.remember(`comments:${articleId}`, () => loadComments(store.db, articleId))) ?? []
  const ids = rows.map((row) => row.authorId)
  const authors = await profilesSeenBy(store, viewer, ids)
  return rows.flatMap(({ authorId: _, createdAt, updatedAt, ...row }, index) => {
    const author = authors[index]
    return author ? [{ ...row, createdAt: new Date(createdAt), updatedAt: new Date(updatedAt), author }] : []
  })
}

export async function findComment(
  store: Store,
  articleId: number,
  id: number,
  viewer: number | null,
): Promise<own.Comment | undefined> {
  return (await listComments(store, articleId, viewer)).find((comment) => comment.id === id)
}

export async function addComment(db: Executor, articleId: number, authorId: number, body: string): Promise<number> {
  const id = await own.addComment(db, articleId, authorId, body)
  await storeOf(db).forget(`comments:${articleId}`)
  return id
}

export async function deleteComment(db: Executor, id: number): Promise<void> {
  const row = await db.selectFrom('comments').select('article_id').where('id', '=', id).executeTakeFirst()
  await own.deleteComment(db, id)
  if (row !== undefined) await storeOf(db).forget(`comments:${row.article_id}`)
}

async function loadComments(db: Executor, articleId: number): Promise<Row[]> {
  const rows = await db
    .selectFrom('comments')
    .select(['id', 'body', 'author_id', 'created_at', 'updated_at'])
    .where('article_id', '=', articleId)
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .execute()
  return rows.map(({ author_id, created_at, updated_at, ...row }) => {
    return { ...row, authorId: author_id, createdAt: created_at.toISOString(), updatedAt: updated_at.toISOString() }
  })
}
