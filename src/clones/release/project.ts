/** The project around an app: its package.json, its lockfile, and where the app stands in it. */

import { readFile } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'

import { compiledPath } from './compile.ts'
import { lockfileName } from './manifest.ts'
import { refused } from './refused.ts'

import type { Lockfile, PackageJson } from './packages.ts'

export interface Project {
  readonly folder: string
  readonly packageJson: PackageJson
  readonly lockfile: Lockfile
  /** The app's folder from the project's: empty where they are one, else ending in `/`. */
  readonly appPath: string
}

/** @throws FF_RELEASE_REFUSED where the app is in no project that npm could install */
export async function findProject(appFolder: string): Promise<Project> {
  for (let folder = appFolder; ; folder = dirname(folder)) {
    const packageJson = await readJson<PackageJson>(join(folder, 'package.json'))
    if (packageJson !== null) {
      const lockfile = await readJson<Lockfile>(join(folder, lockfileName))
      if (lockfile === null) throw refused(`there is no ${lockfileName} in ${folder}: run npm install there`)
      const below = relative(folder, appFolder).split(sep).join('/')
      return { folder, packageJson, lockfile, appPath: below === '' ? '' : `${below}/` }
    }
    if (dirname(folder) === folder) throw refused(`there is no package.json in ${appFolder} or above it: run npm init`)
  }
}

/**
 * The `imports` of a package.json, which name modules by `#name`, as they are in a release: `./src/x.ts` is `./src/x.js`.
 *
 * @param from the app's folder from the project's
 * @param to the same in the release
 */
export function releaseImports(imports: unknown, from: string, to: string): unknown {
  if (typeof imports === 'string') {
    return imports.startsWith(`./${from}`) ? compiledPath(`./${to}${imports.slice(2 + from.length)}`) : imports
  }
  if (Array.isArray(imports)) return imports.map((each) => releaseImports(each, from, to))
  if (typeof imports !== 'object' || imports === null) return imports
  return Object.fromEntries(Object.entries(imports).map(([key, value]) => [key, releaseImports(value, from, to)]))
}

async function readJson<T>(path: string): Promise<T | null> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    return JSON.parse(text) as T
  } catch (cause) {
    throw refused(`${path} is no JSON: ${String(cause)}`)
  }
}
