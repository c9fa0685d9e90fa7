/** Accounts without a cache. Writes are Conduit's own. */
import type { User } from '../../../examples/conduit/src/domain/users.ts'
import type { Executor } from '../../../examples/conduit/src/schema.ts'

export { authenticate, registerUser, reserveUserId, updateUser } from '../../../examples/conduit/src/domain/users.ts'

export async function findUser(db: Executor, id: number): Promise<User | undefined> {
  const columns = ['id', 'username', 'email', 'bio', 'image'] as const
  return db.selectFrom('users').select(columns).where('id', '=', id).executeTakeFirst()
}
