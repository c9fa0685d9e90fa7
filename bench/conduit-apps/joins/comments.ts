/** Comments under articles, newest first. */
import { type SelectQueryBuilder } from 'kysely'
import type { Executor, Schema } from '../../../examples/conduit/src/schema.ts'
import { isFollowing } from './expressions.ts'
import type { Profile } from './profiles.ts'

export interface Comment {
  readonly id: number
  readonly body: string
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly author: Profile & { readonly id: number }
}

export async function listComments(db: Executor, articleId: number, viewer: number | null): Promise<Comment[]> {
  const rows = await comments(db, viewer)
    .where('comments.article_id', '=', articleId)
    .orderBy('comments.created_at', 'desc')
    .orderBy('comments.id', 'desc')
    .execute()
  return rows.map(toComment)
}

/** The comment of that id under that article. */
export async function findComment(
  db: Executor,
  articleId: number,
  id: number,
  viewer: number | null,
): Promise<Comment | undefined> {
  const row = await comments(db, viewer)
    .where('comments.article_id', '=', articleId)
    .where('comments.id', '=', id)
    .executeTakeFirst()
  return row && toComment(row)
}

export { addComment, deleteComment } from '../../../examples/conduit/src/domain/comments.ts'

interface CommentRow extends Omit<Comment, 'author'>, Profile {
  readonly authorId: number
}

function comments(
  db: Executor,
  viewer: number | null,
): SelectQueryBuilder<Schema & { author: Schema['users'] }, 'comments' | 'author', CommentRow> {
  return db
    .selectFrom('comments')
    .innerJoin('users as author', 'author.id', 'comments.author_id')
    .select([
      'comments.id',
      'comments.body',
      'comments.created_at as createdAt',
      'comments.updated_at as updatedAt',
      'author.id as authorId',
      'author.username',
      'author.bio',
      'author.image',
      isFollowing(viewer, 'author.id').as('following'),
    ])
}

function toComment(row: CommentRow): Comment {
  const { id, body, createdAt, updatedAt, authorId, username, bio, image, following } = row
  return { id, body, createdAt, updatedAt, author: { id: authorId, username, bio, image, following } }
}
