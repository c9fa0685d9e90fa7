/** Profiles, and who follows whom. */
import type { Executor } from '../../../examples/conduit/src/schema.ts'
import { isFollowing } from './expressions.ts'

export interface Profile {
  readonly username: string
  readonly bio: string | null
  readonly image: string | null
  readonly following: boolean
}

/** A profile with the id that the domain needs and the API does not show. */
export interface FoundProfile extends Profile {
  readonly id: number
}

/** The profile of that name, as `viewer` (a user's id, or null) sees it. */
export async function findProfile(
  db: Executor,
  username: string,
  viewer: number | null,
): Promise<FoundProfile | undefined> {
  return db
    .selectFrom('users')
    .select(['id', 'username', 'bio', 'image', isFollowing(viewer, 'users.id').as('following')])
    .where('username', '=', username)
    .executeTakeFirst()
}

export { follow, unfollow } from '../../../examples/conduit/src/domain/profiles.ts'
