/** Where the files of one embedded cluster are. Everything is found from the user's directory alone. */

import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, readdir, readlink, realpath, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { FourfoldError } from '../../../core/errors.ts'
import { type Account, canReach, giveTo } from './account.ts'
import { portOf, primaryName } from './settings.ts'

export interface Place {
  /** Data directories, logs and perhaps binaries; reachable for the servers' account. */
  readonly root: string
  /** The Unix sockets, for our own eyes only: whoever gets here is the superuser. */
  readonly sockets: string
  data(name: string): string
  /** Where the server of that name listens. */
  socket(name: string): string
  log(name: string): string
}

/**
 * Makes the directories. Below a home that other accounts cannot enter (root's), the files themselves go to
 * /var/lib/fourfold and a link stands in the user's directory.
 */
export async function makePlace(directory: string, account: Account | null): Promise<Place> {
  const real = await realpath(directory)
  const near = join(real, 'servers')
  const root = (await canReach(account, real)) && !(await isLink(near)) ? near : await makeOutside(near, real)
  const sockets = socketDirectory(root)
  for (const path of [root, join(root, 'log')]) await mkdir(path, { recursive: true })
  await chmod(root, 0o755)
  await makePrivate(sockets, account)
  return {
    root,
    sockets,
    data: (name) => join(root, name),
    socket: (name) => join(sockets, `.s.PGSQL.${portOf(name)}`),
    log: (name) => join(root, 'log', `${name}.log`),
  }
}

/** Takes away everything {@link makePlace} and the servers made. */
export async function removePlace(directory: string): Promise<void> {
  const real = await realpath(directory)
  const link = join(real, 'servers')
  const root = await readlink(link).catch(() => link)
  await rm(socketDirectory(root), { recursive: true, force: true })
  await rm(root, { recursive: true, force: true })
  await rm(link, { recursive: true, force: true })
}

/** The data directories that exist: `primary`, `replica-0`, … */
export async function listData(place: Place): Promise<string[]> {
  const names = await readdir(place.root)
  return names.filter((name) => name === primaryName || /^replica-\d+$/.test(name))
}

async function isLink(path: string): Promise<boolean> {
  return readlink(path).then(
    () => true,
    () => false,
  )
}

async function makeOutside(link: string, real: string): Promise<string> {
  const known = await readlink(link).catch(() => null)
  if (known !== null) return known
  // Whoever deleted the directory by hand meant its data too.
  const root = join('/var/lib/fourfold', shortHash(real))
  await rm(socketDirectory(root), { recursive: true, force: true })
  await rm(root, { recursive: true, force: true })
  await mkdir(root, { recursive: true })
  await symlink(root, link)
  return root
}

/** The system allows 107 bytes for a socket's path. */
function socketDirectory(root: string): string {
  const near = join(root, 'sockets')
  return Buffer.byteLength(near) <= 85 ? near : join(tmpdir(), `fourfold-${shortHash(root)}`)
}

async function makePrivate(path: string, account: Account | null): Promise<void> {
  await mkdir(path, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const found = await lstat(path)
  const ours = [process.getuid?.(), account?.uid].includes(found.uid)
  if (!found.isDirectory() || !ours) {
    throw new FourfoldError(
      'FF_ENGINE_START',
      `${path} belongs to somebody else: remove it, or choose another directory (--data DIR)`,
    )
  }
  await chmod(path, 0o700)
  await giveTo(account, path)
}

const shortHash = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 12)
