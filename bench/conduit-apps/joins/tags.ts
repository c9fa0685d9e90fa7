/** Tags: words that authors give their articles. A tag exists for readers as long as an article carries it. */
import { sql } from 'kysely'
import type { Executor } from '../../../examples/conduit/src/schema.ts'

/** All tags in use, those of most articles first. */
export async function listTags(db: Executor): Promise<string[]> {
  const rows = await db
    .selectFrom('article_tags')
    .innerJoin('tags', 'tags.id', 'article_tags.tag_id')
    .select('tags.name')
    .groupBy('tags.id')
    .orderBy(sql`count(*)`, 'desc')
    .orderBy('tags.name')
    .execute()
  return rows.map((row) => row.name)
}
