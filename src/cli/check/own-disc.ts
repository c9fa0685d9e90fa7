/**
 * A disc for each clone, for apps that may write: a copy of the app's folder and a folder for temporary files. Packages
 * are linked, not copied. What an app writes to other places is on everybody's disc, and is only reported.
 */

import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, isAbsolute, join, relative } from 'node:path'

import type { ClonePlace } from './run-clones.ts'

/** Nothing of the app's own. */
const leftOut = new Set(['.git', '.fourfold'])

/**
 * @param directory a new folder for this clone
 * @param dataDir the app's own data directory: databases that are in use, and large
 */
export async function copyDisc(
  appFile: string,
  directory: string,
  dataDir: string,
  here: string = process.cwd(),
): Promise<ClonePlace> {
  const root = projectOf(appFile)
  const copy = join(directory, 'app')
  const temporary = join(directory, 'tmp')
  await mkdir(copy, { recursive: true })
  await mkdir(temporary)
  await copyFolder(root, copy, dataDir)
  const within = relative(root, here)
  const isInside = !within.startsWith('..') && !isAbsolute(within)
  return {
    appFile: join(copy, relative(root, appFile)),
    temporary,
    folder: isInside ? join(copy, within) : copy,
    standsFor: [
      [copy, root],
      [temporary, tmpdir()],
    ],
  }
}

/** The nearest folder with a package.json, or the file's own. */
export function projectOf(appFile: string): string {
  for (let folder = dirname(appFile); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder
    if (folder === dirname(folder)) return dirname(appFile)
  }
}

async function copyFolder(from: string, to: string, dataDir: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (leftOut.has(entry.name) || source === dataDir) continue
    if (entry.name === 'node_modules') await symlink(source, target)
    else if (entry.isDirectory()) {
      await mkdir(target)
      await copyFolder(source, target, dataDir)
    } else if (entry.isFile() || entry.isSymbolicLink()) await cp(source, target, { verbatimSymlinks: true })
  }
}
