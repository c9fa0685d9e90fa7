/**
 * What PostgreSQL's constraints say, in Conduit's words. Two requests that ask for the same name at once both pass
 * a check made beforehand; only the constraint decides.
 */
import { notFound, type Refusal, type Resource, taken } from '../refusal.ts'

const UNIQUE_VIOLATION = '23505'
const FOREIGN_KEY_VIOLATION = '23503'

const FIELD_OF_CONSTRAINT: Readonly<Record<string, string>> = {
  users_username_key: 'username',
  users_username_lower_key: 'username',
  users_email_lower_key: 'email',
}

interface ConstraintError {
  readonly code: string
  readonly constraint: string
}

/** Runs a write to `users`; a name or address that is taken by then is a 409. */
export async function refusingTaken<T>(write: () => Promise<T>): Promise<T> {
  return translating(write, (error) => {
    const field = error.code === UNIQUE_VIOLATION ? FIELD_OF_CONSTRAINT[error.constraint] : undefined
    return field === undefined ? undefined : taken(field)
  })
}

/** Runs a write that refers to something which may have been deleted a moment ago; then it is a 404. */
export async function refusingGone<T>(resource: Resource, write: () => Promise<T>): Promise<T> {
  return translating(write, (error) => (error.code === FOREIGN_KEY_VIOLATION ? notFound(resource) : undefined))
}

/** Whether a write failed because another row has the same value under this constraint. */
export function violates(error: unknown, constraint: string): boolean {
  return isConstraintError(error) && error.code === UNIQUE_VIOLATION && error.constraint === constraint
}

async function translating<T>(
  write: () => Promise<T>,
  refusal: (error: ConstraintError) => Refusal | undefined,
): Promise<T> {
  try {
    return await write()
  } catch (error) {
    throw (isConstraintError(error) ? refusal(error) : undefined) ?? error
  }
}

function isConstraintError(error: unknown): error is Error & ConstraintError {
  return error instanceof Error && 'code' in error && 'constraint' in error && typeof error.code === 'string'
}
