/** Accounts: registration, credentials, settings. */
import type { Cache, Jobs } from 'fourfold'
import { sql } from 'kysely'
import { makeThumbnail } from '../jobs/contracts.ts'
import { account } from '../objects/people.ts'
import type { Executor } from '../schema.ts'
import { hashPassword, verifyPassword } from '../passwords.ts'
import { badCredentials, taken } from '../refusal.ts'
import { refusingTaken } from './conflicts.ts'
import { pictureIn } from './pictures.ts'

export interface User {
  readonly id: number
  readonly username: string
  readonly email: string
  readonly bio: string | null
  readonly image: string | null
  /** A small square of it, once it is made. */
  readonly thumbnail?: string | null
}

export interface NewUser {
  readonly username: string
  readonly email: string
  readonly password: string
}

export type UserChanges = Partial<NewUser> & { readonly bio?: string | null; readonly image?: string | null }

const COLUMNS = ['id', 'username', 'email', 'bio', 'image', 'thumbnail'] as const

export async function findUser(cache: Cache, id: number): Promise<User | undefined> {
  return (await cache.get(account, id)) ?? undefined
}

/** An id for a user who is about to register: known beforehand, so that the write can be made in that user's name. */
export async function reserveUserId(db: Executor): Promise<number> {
  const result = await sql<{ id: number }>`select nextval(pg_get_serial_sequence('users', 'id'))::int as id`.execute(db)
  const [row] = result.rows
  if (!row) throw new Error('conduit: the sequence of users.id answered nothing')
  return row.id
}

/** Adds an account; 409 if its name or address is taken. */
export async function registerUser(db: Executor, id: number, user: NewUser): Promise<User> {
  await refuseTaken(db, user, null)
  const password_hash = await hashPassword(user.password)
  return refusingTaken(() =>
    db
      .insertInto('users')
      .values({ id, username: user.username, email: user.email, password_hash })
      .returning(COLUMNS)
      .executeTakeFirstOrThrow(),
  )
}

/** The account these credentials belong to; 401 if they belong to none. */
export async function authenticate(db: Executor, email: string, password: string): Promise<User> {
  const found = await db
    .selectFrom('users')
    .select([...COLUMNS, 'password_hash'])
    .where(sql`lower(email)`, '=', sql`lower(${email})`)
    .executeTakeFirst()
  const matches = await verifyPassword(password, found?.password_hash)
  if (!found || !matches) throw badCredentials()
  const { password_hash: _, ...user } = found
  return user
}

/**
 * Changes what was sent and nothing else; 409 if the new name or address is taken. With a new picture its thumbnail is
 * ordered: both, or neither.
 */
export async function updateUser(db: Executor, user: User, changes: UserChanges, jobs: Jobs): Promise<User> {
  await refuseTaken(db, changes, user.id)
  const { password, ...columns } = changes
  const password_hash = password === undefined ? undefined : await hashPassword(password)
  const { image } = columns
  const change = (executor: Executor): Promise<User> =>
    executor
      .updateTable('users')
      .set({ ...columns, password_hash, updated_at: sql`now()` })
      // The thumbnail is of the picture before.
      .$if(image !== undefined, (update) =>
        update.set({ thumbnail: sql`case when image is not distinct from ${image}::text then thumbnail end` }),
      )
      .where('id', '=', user.id)
      .returning(COLUMNS)
      .executeTakeFirstOrThrow()
  if (typeof image !== 'string' || image === user.image || pictureIn(image) === null) {
    return refusingTaken(() => change(db))
  }
  return refusingTaken(() =>
    db.transaction().execute(async (trx) => {
      await jobs.enqueue(makeThumbnail, { userId: user.id, image }, { in: trx })
      return change(trx)
    }),
  )
}

/** Names every field that is taken, where the constraints would name only the first. */
async function refuseTaken(db: Executor, wanted: Partial<NewUser>, self: number | null): Promise<void> {
  const { username, email } = wanted
  if (username === undefined && email === undefined) return
  const sameName = sql<boolean>`coalesce(lower(username) = lower(${username ?? null}::text), false)`
  const sameEmail = sql<boolean>`coalesce(lower(email) = lower(${email ?? null}::text), false)`
  const others = await db
    .selectFrom('users')
    .select([sameName.as('username'), sameEmail.as('email')])
    .where((eb) =>
      eb.or([
        eb(sql`lower(username)`, '=', sql`lower(${username ?? null}::text)`),
        eb(sql`lower(email)`, '=', sql`lower(${email ?? null}::text)`),
      ]),
    )
    .where('id', '!=', self ?? 0)
    .execute()
  const fields = (['username', 'email'] as const).filter((field) => others.some((other) => other[field]))
  if (fields.length > 0) throw taken(...fields)
}
