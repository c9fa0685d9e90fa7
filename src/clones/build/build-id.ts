/**
 * The build id: one hash of everything that decides how a clone behaves and that a rollout can change. Two processes
 * with the same id run the same code.
 */

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { hashFile, type AppFile } from './files.ts'

export interface BuildInputs {
  /** The folder that holds the files. */
  readonly folder: string
  readonly files: readonly AppFile[]
  /** The app's file, from the folder: one folder may hold several apps. */
  readonly entry: string
  /** The lockfile of the installed packages, or null where there is none. */
  readonly lockfile: string | null
  /** What configuration there can be, as a text. */
  readonly schema: string
}

/** 32 hexadecimal digits; the first 12 are shown to people. */
export async function computeBuildId(inputs: BuildInputs): Promise<string> {
  const { folder, files, entry, lockfile, schema } = inputs
  const id = createHash('sha256')
  const packages = lockfile === null ? null : await hashFile('/', { path: lockfile, kind: 'file' })
  id.update(`entry ${entry}\nnode ${process.version} ${process.arch}\nschema ${sha256(schema)}\nlock ${packages}\n`)
  for (const file of files) id.update(`${file.kind} ${file.path}\0${await hashFile(folder, file)}\n`)
  return id.digest('hex').slice(0, 32)
}

const lockfiles = ['package-lock.json', 'npm-shrinkwrap.json', 'pnpm-lock.yaml', 'yarn.lock', 'bun.lock', 'bun.lockb']

/** The nearest lockfile from a folder upward. */
export async function findLockfile(folder: string): Promise<string | null> {
  return await findUpward(folder, lockfiles)
}

/** How Node reads `.js` and `.ts` files of a folder: the `type` of the nearest package.json. */
export async function packageType(folder: string): Promise<'module' | 'commonjs'> {
  const path = await findUpward(folder, ['package.json'])
  if (path === null) return 'module'
  const { type } = JSON.parse(await readFile(path, 'utf8')) as { type?: unknown }
  return type === 'module' ? 'module' : 'commonjs'
}

/** As people read it. */
export function shortBuildId(id: string): string {
  return id.slice(0, 12)
}

async function findUpward(folder: string, names: readonly string[]): Promise<string | null> {
  for (let directory = folder; ; directory = dirname(directory)) {
    for (const name of names) {
      const path = join(directory, name)
      if (await isReadable(path)) return path
    }
    if (dirname(directory) === directory) return null
  }
}

async function isReadable(path: string): Promise<boolean> {
  return await readFile(path).then(
    () => true,
    () => false,
  )
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
