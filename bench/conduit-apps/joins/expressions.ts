/** Parts of queries that several parts of the domain share. `viewer` is a user's id, or null for anonymous readers. */
import { type RawBuilder, sql } from 'kysely'

/** Whether the viewer follows the user whose id stands in this column. */
export function isFollowing(viewer: number | null, userColumn: string): RawBuilder<boolean> {
  if (viewer === null) return sql<boolean>`false`
  return sql<boolean>`exists (
    select from follows where follows.follower_id = ${viewer} and follows.followed_id = ${sql.ref(userColumn)}
  )`
}

/** Whether the viewer has the article of this row among their favourites. */
export function isFavorite(viewer: number | null): RawBuilder<boolean> {
  if (viewer === null) return sql<boolean>`false`
  return sql<boolean>`exists (
    select from favorites where favorites.article_id = articles.id and favorites.user_id = ${viewer}
  )`
}

/** How many users have the article of this row among their favourites. */
export const favoritesCount: RawBuilder<number> = sql<number>`(
  select count(*)::int from favorites where favorites.article_id = articles.id
)`

/** The tags of the article of this row, in their author's order. */
export const tagList: RawBuilder<string[]> = sql<string[]>`array(
  select tags.name from article_tags join tags on tags.id = article_tags.tag_id
  where article_tags.article_id = articles.id order by article_tags.position
)`
