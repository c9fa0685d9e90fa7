/** What was new, day by day. */
import { sql } from 'kysely'
import type { Executor } from '../schema.ts'

export interface Digest {
  /** As in `2026-11-22`. */
  readonly day: string
  readonly articles: number
  readonly comments: number
  readonly favorites: number
}

const columns = ['articles', 'comments', 'favorites'] as const

/** Counts the day before this one, in UTC. Counted again it is written again. */
export async function countYesterday(db: Executor): Promise<Digest> {
  const today = sql`date_trunc('day', now(), 'UTC')`
  const madeYesterday = (table: (typeof columns)[number]) =>
    sql<number>`(
      select count(*)::int from ${sql.table(table)}
      where created_at >= ${today} - interval '1 day' and created_at < ${today}
    )`
  const { rows } = await sql<Digest>`
    insert into digests (day, articles, comments, favorites)
    values (
      ((now() at time zone 'UTC')::date - 1),
      ${sql.join(columns.map(madeYesterday))}
    )
    on conflict (day) do update set
      articles = excluded.articles, comments = excluded.comments, favorites = excluded.favorites
    returning day::text, articles, comments, favorites`.execute(db)
  const [digest] = rows
  if (!digest) throw new Error('conduit: the digest was not written')
  return digest
}

/** The newest first. */
export async function newestDigests(db: Executor, limit: number): Promise<Digest[]> {
  return db
    .selectFrom('digests')
    .select([sql<string>`day::text`.as('day'), ...columns])
    .orderBy('digests.day', 'desc')
    .limit(limit)
    .execute()
}
