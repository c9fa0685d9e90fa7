/** An article's comments as a cached object: who wrote them is looked up where they are shown. */
import { defineObject } from './define.ts'

export interface CommentRow {
  readonly id: number
  readonly body: string
  readonly authorId: number
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** By the article's id, newest first. */
export const commentsOn = defineObject({
  name: 'comments',
  load: async ({ main }, article: number): Promise<readonly CommentRow[]> =>
    main
      .selectFrom('comments')
      .select(['id', 'body', 'author_id as authorId', 'created_at as createdAt', 'updated_at as updatedAt'])
      .where('article_id', '=', article)
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc')
      .execute(),
})
