/**
 * One owner at a time for a directory of embedded servers.
 *
 * The lock is SQLite's exclusive file lock, because the system lets go of it in the moment its holder dies, however
 * it dies: there is no stale lock to judge. The file stays for ever (removing a lock file lets two owners in); who
 * holds it stands in `owner.json` beside it, for the message only.
 */

import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'

import { FourfoldError } from '../../../core/errors.ts'

export interface Owner {
  readonly pid: number
  /** ISO 8601. */
  readonly since: string
}

export interface Ownership {
  release(): Promise<void>
}

/**
 * Takes the directory, making it where there is none.
 * @throws FF_ENGINE_OWNED with `fields.pid` and `fields.since` when somebody has it
 */
export async function takeOwnership(directory: string): Promise<Ownership> {
  await mkdir(directory, { recursive: true })
  const lock = openLock(directory)
  if (lock === null) throw await describeOwner(directory)
  const owner: Owner = { pid: process.pid, since: new Date().toISOString() }
  await writeFile(ownerFile(directory), JSON.stringify(owner))
  let held = true
  return {
    async release() {
      if (!held) return
      held = false
      await rm(ownerFile(directory), { force: true })
      lock.close()
    },
  }
}

/** Who holds the directory, or null: for showing, since it may change at any time. */
export async function readOwner(directory: string): Promise<Owner | null> {
  const owner = await readFile(ownerFile(directory), 'utf8').then(
    (text) => JSON.parse(text) as Owner,
    () => null,
  )
  return owner !== null && isAlive(owner.pid) ? owner : null
}

const ownerFile = (directory: string): string => join(directory, 'owner.json')

function openLock(directory: string): DatabaseSync | null {
  const lock = new DatabaseSync(join(directory, 'owner.sqlite'))
  try {
    lock.exec('begin exclusive')
    return lock
  } catch (error) {
    lock.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy) return null
    throw error
  }
}

const sqliteBusy = 5

async function describeOwner(directory: string): Promise<FourfoldError> {
  let owner = await readOwner(directory)
  // It may have taken the lock in this very moment, and not written its name yet.
  for (let attempt = 0; owner === null && attempt < 10; attempt++) {
    await delay(20)
    owner = await readOwner(directory)
  }
  const who = owner === null ? 'another process' : `process ${owner.pid} since ${owner.since}`
  const message = `${directory} is in use by ${who}: stop it first, or choose another directory (--data DIR)`
  return new FourfoldError('FF_ENGINE_OWNED', message, { fields: { directory, ...owner } })
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
