/** Archives of users' own articles: what goes into them, and which file is whose. */
import { sql } from 'kysely'
import type { Executor } from '../schema.ts'

/** One user's newest archive. */
export interface Download {
  readonly file: string
  readonly articles: number
  readonly madeAt: Date
}

/** An article as its author takes it along. */
export interface OwnArticle {
  readonly id: number
  readonly slug: string
  readonly title: string
  readonly description: string
  readonly body: string
  readonly tags: readonly string[]
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** So many articles are in memory at a time. */
const BATCH = 20

export async function countOwnArticles(db: Executor, userId: number): Promise<number> {
  const query = db
    .selectFrom('articles')
    .select(sql<number>`count(*)::int`.as('n'))
    .where('author_id', '=', userId)
  return (await query.executeTakeFirstOrThrow()).n
}

/** All that a user has written, newest first. */
export async function* ownArticles(db: Executor, userId: number): AsyncGenerator<OwnArticle> {
  let last: OwnArticle | undefined
  do {
    const batch = await batchAfter(db, userId, last)
    yield* batch
    last = batch.length === BATCH ? batch.at(-1) : undefined
  } while (last !== undefined)
}

function batchAfter(db: Executor, userId: number, last: OwnArticle | undefined): Promise<OwnArticle[]> {
  const tags = sql<string[]>`array(
    select name from article_tags join tags on tags.id = tag_id where article_id = articles.id order by position
  )`
  return db
    .selectFrom('articles')
    .select(['id', 'slug', 'title', 'description', 'body', tags.as('tags')])
    .select(['created_at as createdAt', 'updated_at as updatedAt'])
    .where('author_id', '=', userId)
    .$if(last !== undefined, (query) =>
      query.where(sql<boolean>`(created_at, id) < (${last?.createdAt}::timestamptz, ${last?.id}::int)`),
    )
    .orderBy('created_at', 'desc')
    .orderBy('id', 'desc')
    .limit(BATCH)
    .execute()
}

export async function findDownload(db: Executor, userId: number): Promise<Download | undefined> {
  return db
    .selectFrom('downloads')
    .select(['file', 'articles', 'made_at as madeAt'])
    .where('user_id', '=', userId)
    .executeTakeFirst()
}

/** From now on this is the user's archive. Answers the file of the one before, if nobody needs it any more. */
export async function keepDownload(
  db: Executor,
  userId: number,
  { file, articles }: Pick<Download, 'file' | 'articles'>,
): Promise<string | null> {
  const before = await findDownload(db, userId)
  const values = { file, articles, made_at: sql<Date>`now()` }
  await db
    .insertInto('downloads')
    .values({ user_id: userId, ...values })
    .onConflict((conflict) => conflict.column('user_id').doUpdateSet(values))
    .execute()
  return before === undefined || (await isKept(db, before.file)) ? null : before.file
}

/** Takes away archives of more than a week ago, and answers the files that nobody needs any more. */
export async function forgetOldDownloads(db: Executor): Promise<string[]> {
  const old = await db
    .deleteFrom('downloads')
    .where('made_at', '<', sql<Date>`now() - interval '7 days'`)
    .returning('file')
    .execute()
  const files = [...new Set(old.map(({ file }) => file))]
  const kept = await Promise.all(files.map((file) => isKept(db, file)))
  return files.filter((_file, index) => !kept[index])
}

/** Whether a file is anybody's archive: equal bytes are one file, whoever they are of. */
export async function isKept(db: Executor, file: string): Promise<boolean> {
  const found = await db.selectFrom('downloads').select('user_id').where('file', '=', file).executeTakeFirst()
  return found !== undefined
}
