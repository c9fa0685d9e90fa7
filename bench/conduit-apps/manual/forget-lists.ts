/** What of all lists is over when an article comes or goes. */
import type { Executor } from '../../../examples/conduit/src/schema.ts'
import { storeOf } from './store.ts'

/** Ends all lists in which an article of this author with these tags stands. */
export async function forgetLists(db: Executor, authorId: number, tags: readonly string[]): Promise<void> {
  const query = db.selectFrom('follows').select('follower_id').where('followed_id', '=', authorId)
  const feeds = (await query.execute()).map((row) => `feed:${row.follower_id}`)
  const lists = [`list:author:${authorId}`, ...tags.map((tag) => `list:tag:${tag}`)]
  await storeOf(db).forget('list:all', 'tags', ...lists, ...feeds)
}

export async function tagsOf(db: Executor, articleId: number): Promise<string[]> {
  const query = db.selectFrom('article_tags').innerJoin('tags', 'tags.id', 'article_tags.tag_id').select('tags.name')
  return (await query.where('article_id', '=', articleId).execute()).map((row) => row.name)
}
