/** Accounts with a cache kept by hand. */
import type { Jobs } from 'fourfold'
import { findUser as find, updateUser as update } from '../joins/users.ts'
import type { User, UserChanges } from '../../../examples/conduit/src/domain/users.ts'
import type { Executor } from '../../../examples/conduit/src/schema.ts'
import { type Store, storeOf } from './store.ts'

export { authenticate, registerUser, reserveUserId } from '../joins/users.ts'
export type { User, UserChanges } from '../../../examples/conduit/src/domain/users.ts'

export async function findUser(store: Store, id: number): Promise<User | undefined> {
  return (await store.remember(`user:${id}`, async () => (await find(store.db, id)) ?? null)) ?? undefined
}

export async function updateUser(db: Executor, user: User, changes: UserChanges, jobs: Jobs): Promise<User> {
  const changed = await update(db, user, changes, jobs)
  const names = [`name:${user.username}`, `name:${changed.username}`]
  const rows = await db.selectFrom('articles').select('id').where('author_id', '=', user.id).execute()
  const cards = rows.map((row) => `card:${row.id}`)
  await storeOf(db).forget(`user:${user.id}`, `profile:${user.id}`, ...names, ...cards)
  return changed
}
