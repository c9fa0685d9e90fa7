/**
 * Fills the database with people who write, follow, like and answer. What is popular follows Zipf's law, as it does
 * elsewhere; the same seed makes the same data in an empty database. What is there already stays, and is added to.
 */
import { sql } from 'kysely'
import type { Executor } from '../schema.ts'
import { addArticles } from './articles.ts'
import type { SeedAmounts } from './options.ts'
import { addFollows, addUsers } from './people.ts'
import { createRandom } from './random.ts'
import { addComments, addFavorites } from './reactions.ts'

/** How far it is, from 0 to 1, and at what. */
export type Progress = (fraction: number, what: string) => void

export async function seed(db: Executor, amounts: SeedAmounts, progress: Progress = () => {}): Promise<void> {
  const random = createRandom(amounts.seed)
  progress(0, 'users')
  const users = await addUsers(db, random, amounts.users)
  await addFollows(db, random, users)
  progress(0.1, 'articles')
  const articles = await addArticles(db, random, users, amounts.articles, (done) => {
    progress(0.1 + 0.6 * (done / amounts.articles), 'articles')
  })
  progress(0.7, 'favourites')
  await addFavorites(db, random, users, articles)
  progress(0.85, 'comments')
  await addComments(db, random, users, articles)
  // The planner must know the new sizes, and counts be read from indices alone, at once: not when autovacuum comes round.
  await sql`vacuum (analyze) users, follows, articles, tags, article_tags, favorites, comments`.execute(db)
  progress(1, 'done')
}
