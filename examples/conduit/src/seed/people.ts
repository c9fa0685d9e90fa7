/** Adds people, and who follows whom. */
import { sql } from 'kysely'
import { hashPassword } from '../passwords.ts'
import type { Executor } from '../schema.ts'
import { type Random, zipf } from './random.ts'
import { batches, recordset } from './rows.ts'
import { createPeople } from './text.ts'

/** Sign in as any made-up user with it; their addresses are like `ada.adler@conduit.example`. */
export const SEED_PASSWORD = 'conduit-password'

const USERS_AT_ONCE = 1000
const FOLLOWS_AT_ONCE = 5000
const MOST_FOLLOWED = 24

/** Adds so many users and answers their ids. All have one password, hashed once: scrypt is slow by intent. */
export async function addUsers(db: Executor, random: Random, count: number): Promise<number[]> {
  const password_hash = await hashPassword(SEED_PASSWORD)
  const known = await db.selectFrom('users').select('username').execute()
  const next = createPeople(random, new Set(known.map((user) => user.username)))
  const people = Array.from({ length: count }, () => ({ ...next(), password_hash }))
  const ids: number[] = []
  for (const batch of batches(people, USERS_AT_ONCE)) {
    const { rows } = await sql<{ id: number }>`
      insert into users (username, email, bio, password_hash)
      select username, email, bio, password_hash
      from ${recordset(batch, sql`username text, email text, bio text, password_hash text`)}
      returning id
    `.execute(db)
    ids.push(...rows.map((row) => row.id))
  }
  return ids
}

/** Lets users follow others, a few of them far more often than the rest. */
export async function addFollows(db: Executor, random: Random, users: readonly number[]): Promise<void> {
  const popular = zipf(random, users.length, 0.9)
  const rows = users.flatMap((follower_id) => {
    const followed = Array.from({ length: random.whole(0, MOST_FOLLOWED) }, () => users[popular()] ?? follower_id)
    return [...new Set(followed)]
      .filter((id) => id !== follower_id)
      .map((followed_id) => ({ follower_id, followed_id }))
  })
  for (const batch of batches(rows, FOLLOWS_AT_ONCE)) {
    await sql`
      insert into follows (follower_id, followed_id)
      select follower_id, followed_id from ${recordset(batch, sql`follower_id int, followed_id int`)}
    `.execute(db)
  }
}
