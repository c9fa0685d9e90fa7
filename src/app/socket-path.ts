/** Where the store's socket is: in the data directory, or, where that path is too long for a socket, in a temporary one. */

import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { FourfoldError } from '../core/errors.ts'

/** Systems allow 104 to 108 bytes. */
const longestSocketPath = 100

export interface SocketPath {
  readonly path: string
  /** A temporary directory that was made for it and should go when the socket does; null: none. */
  readonly directory: string | null
}

/** The same data directory gives the same path, so that a later start finds what an earlier one left. */
export async function socketPathFor(dataDir: string, name: string): Promise<SocketPath> {
  const near = join(resolve(dataDir), `${name}.sock`)
  if (Buffer.byteLength(near) <= longestSocketPath) {
    await mkdir(resolve(dataDir), { recursive: true })
    return { path: near, directory: null }
  }
  const mark = createHash('sha256').update(resolve(dataDir)).digest('hex').slice(0, 16)
  const directory = join(tmpdir(), `fourfold-${mark}`)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await requireOurs(directory)
  return { path: join(directory, `${name}.sock`), directory }
}

/** Anybody may make a directory of this name first, and whoever owns it could stand in for the store. */
async function requireOurs(directory: string): Promise<void> {
  const found = await lstat(directory)
  if (!found.isDirectory() || (process.getuid !== undefined && found.uid !== process.getuid())) {
    const message = `${directory} belongs to somebody else: remove it, or choose a shorter data directory (--data DIR)`
    throw new FourfoldError('FF_STORE_ADDRESS', message, { fields: { path: directory } })
  }
  await chmod(directory, 0o700)
}
