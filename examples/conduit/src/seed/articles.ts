/** Adds articles with their tags, oldest first, so that ids and times agree. */
import { sql } from 'kysely'
import type { Executor } from '../schema.ts'
import { slugOf } from '../slugs.ts'
import { type Random, zipf } from './random.ts'
import { batches, recordset } from './rows.ts'
import { type Draft, writeArticle } from './text.ts'

export interface SeededArticle {
  readonly id: number
  /** Milliseconds since 1970. */
  readonly createdAt: number
}

const ARTICLES_AT_ONCE = 1000
const DAY_MS = 86_400_000
/** Articles are spread over so many days before the fixed day on which the made-up world stands still. */
const HISTORY_DAYS = 720
const TODAY = Date.UTC(2026, 0, 15, 12)

interface Row extends Draft {
  readonly slug: string
  readonly author_id: number
  readonly created_at: string
}

/** Adds so many articles by these users, of whom a few write most; tells how many are done. */
export async function addArticles(
  db: Executor,
  random: Random,
  users: readonly number[],
  count: number,
  done: (articles: number) => void,
): Promise<SeededArticle[]> {
  const known = await db.selectFrom('articles').select('slug').execute()
  const rows = writeRows(random, users, count, new Set(known.map((article) => article.slug)))
  await addTags(db, new Set(rows.flatMap((row) => row.tags)))
  const added: SeededArticle[] = []
  for (const batch of batches(rows, ARTICLES_AT_ONCE)) {
    added.push(...(await addBatch(db, batch)))
    done(added.length)
  }
  return added
}

function writeRows(random: Random, users: readonly number[], count: number, slugs: Set<string>): Row[] {
  const author = zipf(random, users.length, 0.7)
  return Array.from({ length: count }, (_, index) => {
    const draft = writeArticle(random)
    const daysAgo = ((count - index - random.next()) / count) * HISTORY_DAYS
    const created_at = new Date(TODAY - daysAgo * DAY_MS).toISOString()
    return { ...draft, slug: freeSlug(draft.title, slugs), author_id: users[author()] ?? 0, created_at }
  })
}

/** The plain slug for the first article of a title, numbered ones for the next. */
function freeSlug(title: string, taken: Set<string>): string {
  const plain = slugOf(title)
  let slug = plain
  for (let number = 2; taken.has(slug); number++) slug = `${plain}-${number}`
  taken.add(slug)
  return slug
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

async function addBatch(db: Executor, rows: readonly Row[]): Promise<SeededArticle[]> {
  const columns = sql`slug text, title text, description text, body text, author_id int, created_at timestamptz, tags json`
  const added = await sql<{ id: number; created_at: Date }>`
    with draft as materialized (select * from ${recordset(rows, columns)}),
    added as (
      insert into articles (slug, title, description, body, author_id, created_at, updated_at)
      select slug, title, description, body, author_id, created_at, created_at from draft order by created_at
      returning id, slug, created_at
    ),
    tagged as (
      insert into article_tags (article_id, tag_id, position, article_created_at)
      select added.id, tags.id, tag.position, added.created_at
      from added
      join draft using (slug)
      cross join lateral json_array_elements_text(draft.tags) with ordinality as tag (name, position)
      join tags on tags.name = tag.name
    )
    select id, created_at from added order by id
  `.execute(db)
  return added.rows.map((row) => ({ id: row.id, createdAt: row.created_at.getTime() }))
}
