/** What the types of joins say; checked by the compiler, never run. */

import { defineObject, define, loader, many, one, table, type Fourfold } from 'fourfold'

import type { Kysely, Transaction } from 'kysely'

interface Schema {
  articles: { id: number; title: string; author_id: number; editor_id: number | null; tag_ids: number[]; big: string }
  comments: { id: number; article_id: number; author_id: number; body: string; created_at: Date }
  profiles: { id: number; username: string; bio: string | null }
  tags: { id: number; name: string }
  article_tags: { article_id: number; tag_id: number; position: number }
}
interface Archive {
  audits: { id: number; article_id: number; what: string }
}
interface Profile {
  readonly username: string
}

declare const ff: Fourfold<{ main: Schema; archive: Archive }>
declare const articles: readonly Schema['articles'][]
declare const trx: Transaction<Schema>

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_is: Same<A, B>): void {}

const profile = define<{ main: Schema }>().defineObject<number, Profile>({
  name: 'profile',
  load: async ({ main, join }, id) => {
    const rows = await main.selectFrom('profiles').selectAll().where('id', '=', id).execute()
    const joined = await join(rows, { comments: many(table('comments', 'author_id'), 'id', { columns: ['body'] }) })
    same<(typeof joined)[number]['comments'], { body: string }[]>(true)
    // @ts-expect-error -- no such column
    await join(rows, { comments: many(table('comments', 'writer_id'), 'id') })
    return joined[0] ?? null
  },
})
const tag = defineObject<number, string>({ name: 'tag', load: async () => 'x' })

export async function results(): Promise<void> {
  const [joined] = await ff.join(articles, {
    author: one(profile, 'author_id'),
    editor: one(profile, (row) => row.editor_id),
    tags: many(tag, 'tag_ids'),
    linked: many(tag, 'id', { through: table('article_tags', 'article_id', 'tag_id', { limit: 3 }) }),
    comments: many(table('comments', 'article_id'), 'id', {
      columns: ['id', 'author_id'],
      where: { body: 'x' },
      orderBy: { created_at: 'desc' },
      limit: 3,
      join: { author: one(table('profiles', 'id'), 'author_id') },
    }),
    audited: many(tag, 'id', { through: table('audits', 'article_id', 'id', { database: 'archive' }) }),
    audits: many(table('audits', 'article_id', { database: 'archive' }), 'id'),
    first: one(table('comments', 'article_id'), (row) => row.big, { where: (eb) => eb('id', '=', 1) }),
  })
  if (joined === undefined) return
  same<typeof joined.title, string>(true)
  same<typeof joined.author, Profile | null>(true)
  same<typeof joined.editor, Profile | null>(true)
  same<typeof joined.tags, string[]>(true)
  same<typeof joined.linked, string[]>(true)
  same<typeof joined.audits, Archive['audits'][]>(true)
  same<typeof joined.first, Schema['comments'] | null>(true)
  const [comment] = joined.comments
  if (comment === undefined) return
  same<keyof typeof comment, 'id' | 'author_id' | 'author'>(true)
  same<typeof comment.author, Schema['profiles'] | null>(true)
  await ff.join(articles, { author: one(profile, 'author_id') }, { in: trx })
}

export async function mistakes(): Promise<void> {
  // @ts-expect-error -- the rows have no such field
  await ff.join(articles, { author: one(profile, 'authorId') })
  // @ts-expect-error -- nor in a function
  await ff.join(articles, { author: one(profile, (row) => row.authorId) })
  // @ts-expect-error -- a field of the rows
  await ff.join(articles, { title: one(profile, 'author_id') })
  // @ts-expect-error -- profiles have numbers as keys
  await ff.join(articles, { author: one(profile, 'title') })
  // @ts-expect-error -- not an array of keys
  await ff.join(articles, { tags: many(tag, 'id') })
  // @ts-expect-error -- no such table
  await ff.join(articles, { comments: many(table('remarks', 'article_id'), 'id') })
  // @ts-expect-error -- a table of the other database
  await ff.join(articles, { audits: many(table('audits', 'article_id'), 'id') })
  // @ts-expect-error -- no such column to look up
  await ff.join(articles, { comments: many(table('comments', 'article'), 'id') })
  // @ts-expect-error -- no such column to answer
  await ff.join(articles, { comments: many(table('comments', 'article_id'), 'id', { columns: ['text'] }) })
  // @ts-expect-error -- no such column to order by
  await ff.join(articles, { comments: many(table('comments', 'article_id'), 'id', { orderBy: { at: 'desc' } }) })
  // @ts-expect-error -- no such column to tell rows apart by
  await ff.join(articles, { comments: many(table('comments', 'article_id'), 'id', { where: { text: 'x' } }) })
  // @ts-expect-error -- no such direction
  await ff.join(articles, { comments: many(table('comments', 'article_id'), 'id', { orderBy: { id: 'up' } }) })
  // @ts-expect-error -- the table between is in the other database
  await ff.join(articles, { tags: many(tag, 'id', { through: table('audits', 'article_id', 'id') }) })
  // @ts-expect-error -- no such column in the table between
  await ff.join(articles, { tags: many(tag, 'id', { through: table('article_tags', 'article_id', 'tag') }) })
  await ff.join(articles, {
    // @ts-expect-error -- what was answered has no author_id
    comments: many(table('comments', 'article_id'), 'id', {
      columns: ['id'],
      join: { author: one(profile, 'author_id') },
    }),
  })
  // @ts-expect-error -- one thing has no order
  one(table('comments', 'article_id'), 'id', { orderBy: { id: 'asc' } })
}

export async function loaders(): Promise<void> {
  const names = loader(async (main: Kysely<Schema>, ids: readonly number[]) => {
    const rows = await main.selectFrom('profiles').select(['id', 'username']).where('id', 'in', ids).execute()
    return new Map(rows.map((row) => [row.id, row.username]))
  })
  const name = await names.load(ff.databases.main, 1)
  same<typeof name, string | null>(true)
  await names.load(trx, 1)
  // @ts-expect-error -- an executor for each call
  await names.load(1)
  // @ts-expect-error -- another database
  await names.load(ff.databases.archive, 1)
}
