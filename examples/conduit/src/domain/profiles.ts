/** Profiles, and who follows whom. */
import { followedBy, profile, userIdNamed } from '../objects/people.ts'
import type { Reading } from '../reading.ts'
import type { Executor } from '../schema.ts'

export interface Profile {
  readonly username: string
  readonly bio: string | null
  readonly image: string | null
  /** A small square of it, once it is made. */
  readonly thumbnail?: string | null
  readonly following: boolean
}

/** A profile with the id that the domain needs and the API does not show. */
export interface FoundProfile extends Profile {
  readonly id: number
}

/** The profile of that name, as `viewer` (a user's id, or null) sees it. */
export async function findProfile(
  cache: Reading,
  username: string,
  viewer: number | null,
): Promise<FoundProfile | undefined> {
  const id = await cache.get(userIdNamed, username)
  const [found] = id === null ? [] : await profilesSeenBy(cache, viewer, [id])
  return found ?? undefined
}

/** The profiles of these users, in their order, as `viewer` sees them; null for who is gone. */
export async function profilesSeenBy(
  cache: Reading,
  viewer: number | null,
  ids: readonly number[],
): Promise<(FoundProfile | null)[]> {
  const [profiles, followed] = await Promise.all([
    cache.getMany(profile, ids),
    viewer === null ? null : cache.get(followedBy, viewer),
  ])
  return profiles.map((found) => found && { ...found, following: followed?.has(found.id) ?? false })
}

/** Following somebody twice is following them. */
export async function follow(db: Executor, follower: number, followed: number): Promise<void> {
  await db
    .insertInto('follows')
    .values({ follower_id: follower, followed_id: followed })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

export async function unfollow(db: Executor, follower: number, followed: number): Promise<void> {
  await db.deleteFrom('follows').where('follower_id', '=', follower).where('followed_id', '=', followed).execute()
}
