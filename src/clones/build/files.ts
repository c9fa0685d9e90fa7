/**
 * Which files are an app: everything in its folder but what is installed, hidden, logged or data. Symbolic links count
 * as what they say, not as what they lead to, so that a loop ends and a link out of the folder copies nothing.
 */

import { createHash, type Hash } from 'node:crypto'
import { open, readdir, readlink, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'

import { FourfoldError } from '../../core/errors.ts'

export interface AppFile {
  /** From the app's folder, with `/` on every system. */
  readonly path: string
  readonly kind: 'file' | 'link'
}

const leftOut = new Set(['node_modules', 'coverage'])
const logFile = /\.log$/
const mostFiles = 20_000
const mostBytes = 1024 ** 3
const pieceBytes = 64 * 1024

/** The folder with the app's file, or the one around `src` or `dist`, where migrations and public files stand. */
export function appFolder(appFile: string): string {
  const folder = dirname(appFile)
  return ['src', 'dist'].includes(basename(folder)) ? dirname(folder) : folder
}

/**
 * The files of an app, in one order everywhere.
 *
 * @param without a folder inside that is no part of the app: its data directory
 * @throws FF_BUILD_FILES when there are so many that this cannot be an app's own folder
 */
export async function listAppFiles(folder: string, without: string): Promise<AppFile[]> {
  const found: AppFile[] = []
  let bytes = 0
  const walk = async (directory: string): Promise<void> => {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      if (entry.name.startsWith('.') || leftOut.has(entry.name) || logFile.test(entry.name) || path === without)
        continue
      if (entry.isDirectory()) await walk(path)
      else if (entry.isFile() || entry.isSymbolicLink()) {
        if (entry.isFile()) bytes += (await stat(path)).size
        found.push({ path: relative(folder, path).split(sep).join('/'), kind: entry.isFile() ? 'file' : 'link' })
        if (found.length > mostFiles || bytes > mostBytes) throw tooMany(folder)
      }
    }
  }
  await walk(folder)
  // By code units and not by a locale: the order is part of the hash.
  return found.toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** The SHA-256 of a file's content, or of where a link leads; null: there is none. */
export async function hashFile(folder: string, { path, kind }: AppFile): Promise<string | null> {
  const hash = createHash('sha256')
  try {
    if (kind === 'link') hash.update(await readlink(join(folder, path)))
    else await hashContent(join(folder, path), hash)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  return hash.digest('hex')
}

/** Piece by piece, and without streams: every clone hashes all files before it starts, and most are small. */
async function hashContent(path: string, hash: Hash): Promise<void> {
  const file = await open(path)
  try {
    const piece = Buffer.allocUnsafe(pieceBytes)
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, pieceBytes)
      if (bytesRead === 0) return
      hash.update(piece.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

function tooMany(folder: string): FourfoldError {
  const limits = `${mostFiles} files or ${mostBytes / 1024 ** 2} MiB`
  const message = `${folder} holds more than ${limits}, so it is hardly one app's: give the app a folder of its own`
  return new FourfoldError('FF_BUILD_FILES', message, { fields: { folder } })
}
