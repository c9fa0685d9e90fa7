/**
 * Fills the database with people who write, follow, like and answer. What is popular follows Zipf's law, as it does
 * elsewhere; the same seed makes the same data. Rows travel as JSON, some thousands in one statement: the whole of
 * it takes seconds. What is there already stays: names and slugs that are taken are passed over.
 *
 * Every made-up account has the same password, {@link SEED_PASSWORD}, hashed once.
 */
import { type RawBuilder, sql } from 'kysely'
import { hashPassword } from '../passwords.ts'
import type { Executor } from '../schema.ts'
import { slugOf } from '../slugs.ts'
import type { SeedAmounts } from './options.ts'
import { createRandom, type Random, zipf } from './random.ts'
import { createPeople, writeArticle, writeComment } from './text.ts'

/** Sign in as any seeded user with it: `ada.adler@conduit.example` and the like. */
export const SEED_PASSWORD = 'conduit-password'

/** How far it is, from 0 to 1, and at what. */
export type Progress = (fraction: number, what: string) => void

const BATCH = 1000
const DAY_MS = 86_400_000
/** Articles are spread over so many days before the fixed day on which the made-up world stands still. */
const HISTORY_DAYS = 720
const TODAY = Date.UTC(2026, 0, 15, 12)

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
  // The planner must know the new sizes at once, not when autovacuum comes round.
  await sql`analyze`.execute(db)
  progress(1, 'done')
}

interface SeededArticle {
  readonly id: number
  readonly createdAt: number
}

async function addUsers(db: Executor, random: Random, count: number): Promise<number[]> {
  const password_hash = await hashPassword(SEED_PASSWORD)
  const next = createPeople(random)
  const people = Array.from({ length: count }, () => ({ ...next(), password_hash }))
  const ids: number[] = []
  for (const batch of batches(people)) {
    await sql`
      insert into users (username, email, bio, password_hash)
      select username, email, bio, password_hash
      from ${recordset(batch, sql`username text, email text, bio text, password_hash text`)}
      on conflict do nothing
    `.execute(db)
    const names = batch.map((person) => person.username)
    const found = await db.selectFrom('users').select('id').where('username', 'in', names).orderBy('id').execute()
    ids.push(...found.map((user) => user.id))
  }
  return ids
}

async function addFollows(db: Executor, random: Random, users: readonly number[]): Promise<void> {
  const popular = zipf(random, users.length, 0.9)
  const rows = users.flatMap((follower) =>
    several(random.whole(0, 24), popular, users)
      .filter((followed) => followed !== follower)
      .map((followed) => ({ follower_id: follower, followed_id: followed })),
  )
  for (const batch of batches(rows, BATCH * 5)) {
    await sql`
      insert into follows (follower_id, followed_id)
      select follower_id, followed_id from ${recordset(batch, sql`follower_id int, followed_id int`)}
      on conflict do nothing
    `.execute(db)
  }
}

async function addArticles(
  db: Executor,
  random: Random,
  users: readonly number[],
  count: number,
  done: (articles: number) => void,
): Promise<SeededArticle[]> {
  const author = zipf(random, users.length, 0.7)
  const slugs = createSlugs()
  const drafts = Array.from({ length: count }, (_, index) => {
    const draft = writeArticle(random)
    const at = TODAY - ((count - index - random.next()) / count) * HISTORY_DAYS * DAY_MS
    const created_at = new Date(at).toISOString()
    return { ...draft, slug: slugs(draft.title), author_id: users[author()] ?? 1, created_at }
  })
  await addTags(db, new Set(drafts.flatMap((draft) => draft.tags)))
  const added: SeededArticle[] = []
  for (const batch of batches(drafts)) {
    added.push(...(await addArticleBatch(db, batch)))
    done(added.length)
  }
  return added
}

async function addArticleBatch(db: Executor, drafts: readonly object[]): Promise<SeededArticle[]> {
  const columns = sql`slug text, title text, description text, body text, author_id int, created_at timestamptz, tags json`
  const { rows } = await sql<{ id: number; created_at: Date }>`
    with draft as materialized (select * from ${recordset(drafts, columns)}),
    added as (
      insert into articles (slug, title, description, body, author_id, created_at, updated_at)
      select slug, title, description, body, author_id, created_at, created_at from draft order by created_at
      on conflict do nothing
      returning id, slug, created_at
    ),
    tagged as (
      insert into article_tags (article_id, tag_id, position)
      select added.id, tags.id, tag.position
      from added
      join draft using (slug)
      cross join lateral json_array_elements_text(draft.tags) with ordinality as tag (name, position)
      join tags on tags.name = tag.name
    )
    select id, created_at from added order by id
  `.execute(db)
  return rows.map((row) => ({ id: row.id, createdAt: row.created_at.getTime() }))
}

async function addTags(db: Executor, names: ReadonlySet<string>): Promise<void> {
  if (names.size === 0) return
  const values = [...names].sort().map((name) => ({ name }))
  await db
    .insertInto('tags')
    .values(values)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

async function addFavorites(
  db: Executor,
  random: Random,
  users: readonly number[],
  articles: readonly SeededArticle[],
): Promise<void> {
  const popularity = zipf(random, 60, 1.1)
  const reader = zipf(random, users.length, 0.4)
  const rows = articles.flatMap(({ id }) =>
    several(popularity(), reader, users).map((user_id) => ({ article_id: id, user_id })),
  )
  for (const batch of batches(rows, BATCH * 5)) {
    await sql`
      insert into favorites (article_id, user_id)
      select article_id, user_id from ${recordset(batch, sql`article_id int, user_id int`)}
      on conflict do nothing
    `.execute(db)
  }
}

async function addComments(
  db: Executor,
  random: Random,
  users: readonly number[],
  articles: readonly SeededArticle[],
): Promise<void> {
  const talk = zipf(random, 14, 1)
  const rows = articles.flatMap(({ id, createdAt }) =>
    Array.from({ length: talk() }, () => {
      const created_at = new Date(createdAt + random.next() ** 2 * 5 * DAY_MS).toISOString()
      return { article_id: id, author_id: random.pick(users), body: writeComment(random), created_at }
    }),
  )
  for (const batch of batches(rows, BATCH * 2)) {
    const columns = sql`article_id int, author_id int, body text, created_at timestamptz`
    await sql`
      insert into comments (article_id, author_id, body, created_at, updated_at)
      select article_id, author_id, body, created_at, created_at from ${recordset(batch, columns)}
      order by created_at
    `.execute(db)
  }
}

/** So many different users, the popular ones more often. */
function several(count: number, rank: () => number, users: readonly number[]): number[] {
  return [...new Set(Array.from({ length: count }, () => users[rank()] ?? 1))]
}

/** Slugs that do not repeat: the first article of a title has the plain one. */
function createSlugs(): (title: string) => string {
  const seen = new Map<string, number>()
  return (title) => {
    const slug = slugOf(title)
    const before = seen.get(slug) ?? 0
    seen.set(slug, before + 1)
    return before === 0 ? slug : `${slug}-${before + 1}`
  }
}

/** Rows as a table: one parameter however many they are. */
function recordset(rows: readonly object[], columns: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`json_to_recordset(${JSON.stringify(rows)}::json) as source (${columns})`
}

function batches<T>(rows: readonly T[], size = BATCH): T[][] {
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, index) =>
    rows.slice(index * size, (index + 1) * size),
  )
}
