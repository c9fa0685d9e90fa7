/** Comments under articles, newest first. */
import { commentsOn } from '../objects/comments.ts'
import type { Reading } from '../reading.ts'
import type { Executor } from '../schema.ts'
import { refusingGone } from './conflicts.ts'
import { type FoundProfile, profilesSeenBy } from './profiles.ts'

export interface Comment {
  readonly id: number
  readonly body: string
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly author: FoundProfile
}

export async function listComments(cache: Reading, articleId: number, viewer: number | null): Promise<Comment[]> {
  const rows = (await cache.get(commentsOn, articleId)) ?? []
  const authorIds = rows.map((row) => row.authorId)
  const authors = await profilesSeenBy(cache, viewer, authorIds)
  return rows.flatMap(({ authorId: _, ...comment }, index) => {
    const author = authors[index]
    return author ? [{ ...comment, author }] : []
  })
}

/** The comment of that id under that article. */
export async function findComment(
  cache: Reading,
  articleId: number,
  id: number,
  viewer: number | null,
): Promise<Comment | undefined> {
  return (await listComments(cache, articleId, viewer)).find((comment) => comment.id === id)
}

/** Adds a comment and answers its id. */
export async function addComment(db: Executor, articleId: number, authorId: number, body: string): Promise<number> {
  const values = { article_id: articleId, author_id: authorId, body }
  const insert = db.insertInto('comments').values(values).returning('id')
  const row = await refusingGone('article', () => insert.executeTakeFirstOrThrow())
  return row.id
}

export async function deleteComment(db: Executor, id: number): Promise<void> {
  await db.deleteFrom('comments').where('id', '=', id).execute()
}
