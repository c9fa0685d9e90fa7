/**
 * People as cached objects. What everybody sees of somebody, what only they see, and whom they follow are apart, so
 * that nothing of one reader's ever stands in what others read.
 */
import type { User } from '../domain/users.ts'
import { anyOf, defineObject } from './define.ts'

/** What everybody sees of a user. */
export interface PublicProfile {
  readonly id: number
  readonly username: string
  readonly bio: string | null
  readonly image: string | null
  readonly thumbnail?: string | null
}

const PUBLIC = ['id', 'username', 'bio', 'image', 'thumbnail'] as const

/** By the user's id. */
export const profile = defineObject({
  name: 'profile',
  load: async ({ main }, id: number): Promise<PublicProfile | null> =>
    (await main.selectFrom('users').select(PUBLIC).where('id', '=', id).executeTakeFirst()) ?? null,
  loadMany: async ({ main }, ids: readonly number[]) => {
    const rows = await main.selectFrom('users').select(PUBLIC).where('id', '=', anyOf(ids)).execute()
    return new Map(rows.map((row) => [row.id, row]))
  },
  loadManyBy: 'id',
})

/** The id of the user of that name. */
export const userIdNamed = defineObject({
  name: 'user-id',
  load: async ({ main }, username: string): Promise<number | null> => {
    const row = await main.selectFrom('users').select('id').where('username', '=', username).executeTakeFirst()
    return row?.id ?? null
  },
})

/** By the user's id: what they alone see of themselves. */
export const account = defineObject({
  name: 'account',
  load: async ({ main }, id: number): Promise<User | null> =>
    (await main
      .selectFrom('users')
      .select([...PUBLIC, 'email'])
      .where('id', '=', id)
      .executeTakeFirst()) ?? null,
})

/** The ids of those whom the user of that id follows. */
export const followedBy = defineObject({
  name: 'followed',
  load: async ({ main }, follower: number): Promise<ReadonlySet<number>> => {
    const rows = await main.selectFrom('follows').select('followed_id').where('follower_id', '=', follower).execute()
    return new Set(rows.map((row) => row.followed_id))
  },
})
