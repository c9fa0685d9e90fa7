/**
 * Under which user the servers run. PostgreSQL refuses to run as root, so root lends the servers to an account that
 * every system has; anybody else runs them as themselves.
 */

import { chown, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

import { FourfoldError } from '../../../core/errors.ts'

export interface Account {
  readonly uid: number
  readonly gid: number
}

/** The account to run servers as; null: our own. It needs an entry in the password file, or the server refuses. */
export async function findAccount(): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null
  const entries = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'))
  for (const name of ['postgres', 'nobody']) {
    const entry = entries.find(([user]) => user === name)
    if (entry !== undefined) return { uid: Number(entry[2]), gid: Number(entry[3]) }
  }
  const message =
    'The embedded PostgreSQL does not run as root, and there is no user "postgres" or "nobody" to run it as: start Fourfold as another user'
  throw new FourfoldError('FF_ENGINE_PLATFORM', message)
}

/** Hands a file or directory of ours to the account. */
export async function giveTo(account: Account | null, path: string): Promise<void> {
  if (account !== null) await chown(path, account.uid, account.gid)
}

/** Whether the account gets to this path: every directory above must let it through. */
export async function canReach(account: Account | null, path: string): Promise<boolean> {
  if (account === null) return true
  for (let at = path; ; at = dirname(at)) {
    const { mode, uid, gid } = await stat(at)
    const bits = uid === account.uid ? mode >> 6 : gid === account.gid ? mode >> 3 : mode
    if ((bits & 1) === 0) return false
    if (dirname(at) === at) return true
  }
}
