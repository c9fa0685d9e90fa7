/** Tags: words that authors give their articles. A tag exists for readers as long as an article carries it. */
import { sql } from 'kysely'
import type { Executor } from '../schema.ts'

/** How many of the newest articles say what is popular now. */
const TRENDING_ARTICLES = 1000

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

/** The tags that the newest articles use most; a third is kept for the very latest, which nobody would find otherwise. */
export async function listPopularTags(db: Executor, limit: number): Promise<string[]> {
  const latest = Math.floor(limit / 3)
  const newest = db
    .selectFrom('articles')
    .select('id')
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(TRENDING_ARTICLES)
  const ranked = db
    .selectFrom('article_tags')
    .innerJoin('tags', 'tags.id', 'article_tags.tag_id')
    .select([
      'tags.name',
      sql<number>`row_number() over (order by count(*) desc, max(article_tags.article_id) desc, tags.name)`.as(
        'by_use',
      ),
      sql<number>`row_number() over (order by max(article_tags.article_id) desc, tags.name)`.as('by_age'),
    ])
    .where('article_tags.article_id', 'in', newest)
    .groupBy('tags.id')
  const rows = await db
    .selectFrom(ranked.as('ranked'))
    .select('name')
    .where((eb) => eb.or([eb('by_use', '<=', limit - latest), eb('by_age', '<=', latest)]))
    .orderBy('by_use')
    .execute()
  return rows.map((row) => row.name)
}

/** Gives an article these tags, in this order, and no others. Needs a transaction. */
export async function replaceTags(trx: Executor, articleId: number, names: readonly string[]): Promise<void> {
  await trx.deleteFrom('article_tags').where('article_id', '=', articleId).execute()
  if (names.length === 0) return
  await trx
    .insertInto('tags')
    // Sorted: two articles that bring the same new tags in different order would wait for each other for ever.
    .values([...names].sort().map((name) => ({ name })))
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute()
  await sql`
    insert into article_tags (article_id, tag_id, position)
    select ${articleId}, tags.id, wanted.position
    from unnest(${[...names]}::text[]) with ordinality as wanted (name, position)
    join tags on tags.name = wanted.name
  `.execute(trx)
}
