/** Tags: words that authors give their articles. A tag exists for readers as long as an article carries it. */
import { sql } from 'kysely'
import type { Reading } from '../reading.ts'
import type { Executor } from '../schema.ts'

/** How many of the newest articles say what is popular now. */
const TRENDING_ARTICLES = 1000

/** All tags in use, those of most articles first. */
export async function listTags(cache: Reading): Promise<string[]> {
  const rows = await cache.query<{ name: string }>(
    `select tags.name from article_tags join tags on tags.id = article_tags.tag_id
     group by tags.id order by count(*) desc, tags.name`,
  )
  return rows.map((row) => row.name)
}

/** The tags that the newest articles use most; a third is kept for the very latest, which nobody would find otherwise. */
export async function listPopularTags(cache: Reading, limit: number): Promise<string[]> {
  const latest = Math.floor(limit / 3)
  const rows = await cache.query<{ name: string }>(
    `select name from (
       select tags.name,
         row_number() over (order by count(*) desc, max(article_tags.article_id) desc, tags.name) as by_use,
         row_number() over (order by max(article_tags.article_id) desc, tags.name) as by_age
       from article_tags join tags on tags.id = article_tags.tag_id
       where article_tags.article_id in (select id from articles order by created_at desc, id desc limit $1)
       group by tags.id
     ) as ranked
     where by_use <= $2 or by_age <= $3 order by by_use`,
    [TRENDING_ARTICLES, limit - latest, latest],
  )
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
    insert into article_tags (article_id, tag_id, position, article_created_at)
    select articles.id, tags.id, wanted.position, articles.created_at
    from unnest(${[...names]}::text[]) with ordinality as wanted (name, position)
    join tags on tags.name = wanted.name
    join articles on articles.id = ${articleId}
  `.execute(trx)
}
