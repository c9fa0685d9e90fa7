/**
 * Lists of articles as cached objects that hold ids and nothing else: what changes in an article does not end the
 * lists it stands in by tag or favourite, and an article that stands in fifty lists is one entry.
 *
 * Whatever narrows a list is read first (the tag's id, the author's, the favourites), so that the list depends on the
 * rows of this tag or this author, and not on all.
 */
import { type SelectQueryBuilder, sql } from 'kysely'
import type { LoadTools } from 'fourfold'
import type { Schema } from '../schema.ts'
import { favoritesOf } from './articles.ts'
import { anyOf, defineObject } from './define.ts'
import { userIdNamed } from './people.ts'
import { tagIdNamed } from './tags.ts'

/** Which articles: all that are not null must hold. */
export type ListKey = {
  readonly tag: string | null
  /** The author's name. */
  readonly author: string | null
  /** The name of a user who has the article among their favourites. */
  readonly favorited: string | null
}

export type PageKey = ListKey & { readonly limit: number; readonly offset: number }

/** One page of a list, newest first. */
export const articlePage = defineObject({
  name: 'article-page',
  load: async (tools, key: PageKey): Promise<readonly number[]> => {
    const list = await matching(tools, key)
    if (list === null) return []
    const page = list
      .select('id')
      .orderBy('createdAt', 'desc')
      .orderBy('id', 'desc')
      .limit(key.limit)
      .offset(key.offset)
    return (await page.execute()).map((row) => row.id)
  },
})

/** How many articles the whole list has. */
export const articleCount = defineObject({
  name: 'article-count',
  load: async (tools, key: ListKey): Promise<number> => {
    const list = await matching(tools, key)
    if (list === null) return 0
    const counted = list.select(sql<number>`count(*)::int`.as('total'))
    return (await counted.executeTakeFirstOrThrow()).total
  },
})

type Tools = LoadTools<{ main: Schema }>
type List = { readonly id: number; readonly createdAt: Date }

/** The articles that match; null where none can. */
async function matching(
  { main, use }: Tools,
  key: ListKey,
): Promise<SelectQueryBuilder<Schema & { list: List }, 'list', object> | null> {
  const [tag, author, ids] = await Promise.all([
    key.tag === null ? undefined : use(tagIdNamed, key.tag),
    key.author === null ? undefined : use(userIdNamed, key.author),
    key.favorited === null ? undefined : favoritesNamed(use, key.favorited),
  ])
  if (tag === null || author === null || ids?.length === 0) return null
  const tagged = main.selectFrom('article_tags').where('tag_id', '=', tag ?? 0)
  if (tag !== undefined && author === undefined && ids === undefined) {
    const list = tagged.select(['article_id as id', 'article_created_at as createdAt'])
    return main.selectFrom(list.as('list'))
  }
  let list = main.selectFrom('articles').select(['id', 'created_at as createdAt'])
  if (tag !== undefined) list = list.where('id', 'in', tagged.select('article_id'))
  if (author !== undefined) list = list.where('author_id', '=', author)
  if (ids !== undefined) list = list.where('id', '=', anyOf(ids))
  return main.selectFrom(list.as('list'))
}

async function favoritesNamed(use: Tools['use'], username: string): Promise<number[]> {
  const user = await use(userIdNamed, username)
  return user === null ? [] : [...((await use(favoritesOf, user)) ?? [])]
}
