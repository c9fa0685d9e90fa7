/** Adds what readers do: favourites and comments. */
import { sql } from 'kysely'
import type { Executor } from '../schema.ts'
import type { SeededArticle } from './articles.ts'
import { type Random, zipf } from './random.ts'
import { batches, recordset } from './rows.ts'
import { writeComment } from './text.ts'

const FAVORITES_AT_ONCE = 5000
const COMMENTS_AT_ONCE = 2000
const DAY_MS = 86_400_000
/** The part of all users who have the most popular article among their favourites. */
const TOP_SHARE = 0.3
/** How fast popularity falls with an article's rank: Zipf's exponent. */
const FALL = 0.75
const MOST_COMMENTS = 14

/** Makes articles favourites of users, by Zipf's law: the articles' ranks are drawn by lot. */
export async function addFavorites(
  db: Executor,
  random: Random,
  users: readonly number[],
  articles: readonly SeededArticle[],
): Promise<void> {
  const rows = shuffled(random, articles).flatMap(({ id: article_id }, index) => {
    const fans = Math.round((users.length * TOP_SHARE) / (index + 1) ** FALL)
    return random.sample(users, fans).map((user_id) => ({ article_id, user_id }))
  })
  for (const batch of batches(rows, FAVORITES_AT_ONCE)) {
    await sql`
      insert into favorites (article_id, user_id)
      select article_id, user_id from ${recordset(batch, sql`article_id int, user_id int`)}
    `.execute(db)
  }
}

/** Lets users comment on articles, most within a day of their publication. */
export async function addComments(
  db: Executor,
  random: Random,
  users: readonly number[],
  articles: readonly SeededArticle[],
): Promise<void> {
  const talk = zipf(random, MOST_COMMENTS)
  const rows = articles.flatMap(({ id, createdAt }) =>
    Array.from({ length: talk() }, () => {
      const created_at = new Date(createdAt + random.next() ** 2 * 5 * DAY_MS).toISOString()
      return { article_id: id, author_id: random.pick(users), body: writeComment(random), created_at }
    }),
  )
  for (const batch of batches(rows, COMMENTS_AT_ONCE)) {
    const columns = sql`article_id int, author_id int, body text, created_at timestamptz`
    await sql`
      insert into comments (article_id, author_id, body, created_at, updated_at)
      select article_id, author_id, body, created_at, created_at from ${recordset(batch, columns)}
      order by created_at
    `.execute(db)
  }
}

function shuffled<T>(random: Random, values: readonly T[]): T[] {
  return values
    .map((value) => ({ value, lot: random.next() }))
    .sort((a, b) => a.lot - b.lot)
    .map(({ value }) => value)
}
