/**
 * Copying a data directory, at rest or while its server writes to it.
 *
 * During an online backup files grow, shrink and vanish under the copy; that is allowed, since replay from the
 * backup's start repairs everything. What belongs to one running server (its log, slots, lock, statistics) stays out.
 */

import { chmod, constants, copyFile, mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'

import { type Account, giveTo } from './account.ts'

export interface CopyOptions {
  readonly account: Account | null
  /** Whether the log comes along: it must at rest, and must not online. */
  readonly withLog: boolean
}

/** Copies to a directory that does not exist yet. */
export async function copyData(from: string, to: string, options: CopyOptions): Promise<void> {
  const emptied = options.withLog ? alwaysEmptied : [...alwaysEmptied, 'pg_wal']
  await makeDirectory(to, options)
  const copy = async (path: string): Promise<void> => {
    const entries = await readdir(join(from, path), { withFileTypes: true })
    await Promise.all(
      entries.map(async (entry) => {
        const inner = join(path, entry.name)
        if (leftOut.has(inner) || entry.name.startsWith('pgsql_tmp')) return
        if (entry.isFile()) await copyOne(join(from, inner), join(to, inner), options)
        if (!entry.isDirectory()) return
        await makeDirectory(join(to, inner), options)
        if (!emptied.includes(inner)) await copy(inner)
      }),
    )
  }
  await copy('')
  if (!options.withLog) {
    for (const inner of ['pg_wal/archive_status', 'pg_wal/summaries']) await makeDirectory(join(to, inner), options)
  }
}

const leftOut: ReadonlySet<string> = new Set([
  'postmaster.pid',
  'postmaster.opts',
  'postgresql.auto.conf',
  'backup_label',
  'standby.signal',
])
const alwaysEmptied = [
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
]

async function makeDirectory(path: string, { account }: CopyOptions): Promise<void> {
  await mkdir(path, { mode: 0o700 })
  await giveTo(account, path)
}

async function copyOne(from: string, to: string, { account }: CopyOptions): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE)
  } catch (error) {
    // Dropped meanwhile: replay will not miss it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  await chmod(to, 0o600)
  await giveTo(account, to)
}
