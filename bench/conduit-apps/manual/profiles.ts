/** Profiles with a cache kept by hand. */
import { sql } from 'kysely'
import * as own from '../../../examples/conduit/src/domain/profiles.ts'
import type { Executor } from '../../../examples/conduit/src/schema.ts'
import { type Store, storeOf } from './store.ts'

export type { FoundProfile, Profile } from '../../../examples/conduit/src/domain/profiles.ts'

type Public = Omit<own.FoundProfile, 'following'>

export async function findProfile(
  store: Store,
  username: string,
  viewer: number | null,
): Promise<own.FoundProfile | undefined> {
  const id = await userIdNamed(store, username)
  const [found] = id === null ? [] : await profilesSeenBy(store, viewer, [id])
  return found ?? undefined
}

export async function profilesSeenBy(
  store: Store,
  viewer: number | null,
  ids: readonly number[],
): Promise<(own.FoundProfile | null)[]> {
  const [profiles, followed] = await Promise.all([
    store.rememberMany<Public>('profile', ids, async (missing) => {
      const columns = ['id', 'username', 'bio', 'image'] as const
      const query = store.db
        .selectFrom('users')
        .select(columns)
        .where('id', '=', sql<number>`any(${missing})`)
      return new Map((await query.execute()).map((row) => [row.id, row]))
    }),
    viewer === null ? [] : followedBy(store, viewer),
  ])
  const following = new Set(followed)
  return profiles.map((profile) => profile && { ...profile, following: following.has(profile.id) })
}

export async function userIdNamed(store: Store, username: string): Promise<number | null> {
  return store.remember(`name:${username}`, async () => {
    const row = await store.db.selectFrom('users').select('id').where('username', '=', username).executeTakeFirst()
    return row?.id ?? null
  })
}

export async function followedBy(store: Store, follower: number): Promise<readonly number[]> {
  const ids = await store.remember(`follows:${follower}`, async () => {
    const query = store.db.selectFrom('follows').select('followed_id').where('follower_id', '=', follower)
    return (await query.execute()).map((row) => row.followed_id)
  })
  return ids ?? []
}

export async function follow(db: Executor, follower: number, followed: number): Promise<void> {
  await own.follow(db, follower, followed)
  await storeOf(db).forget(`follows:${follower}`, `feed:${follower}`)
}

export async function unfollow(db: Executor, follower: number, followed: number): Promise<void> {
  await own.unfollow(db, follower, followed)
  await storeOf(db).forget(`follows:${follower}`, `feed:${follower}`)
}
