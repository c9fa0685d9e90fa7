/** `fourfold reset`. */

import { existsSync } from 'node:fs'
import { readdir, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'

import { loadCommand, type CommonOptions } from './settings.ts'
import { endLeftovers } from '../app/leftovers.ts'
import { readSystemNote } from '../app/system-file.ts'
import { FourfoldError } from '../core/errors.ts'

/** Deletes the data of the embedded servers, after a question. @throws FF_APP_RUNNING while a system runs on it */
export async function reset(file: string, options: CommonOptions & { readonly yes?: boolean }): Promise<void> {
  const { config, log } = await loadCommand(file, options)
  const note = await readSystemNote(config.dataDir)
  if (note !== null) {
    throw new FourfoldError('FF_APP_RUNNING', `A system runs on ${config.dataDir} (pid ${note.pid}): stop it first`)
  }
  const ours = await findOurs(config.dataDir)
  if (ours.length === 0) return console.log(`there is nothing of Fourfold's in ${config.dataDir}`)
  if (options.yes !== true && !(await confirm(config.dataDir))) return console.log('nothing was deleted')
  // A frozen store that wakes up later would take the next one's files for its own.
  await endLeftovers(config.dataDir, log)
  const { resetEmbeddedCluster } = await import('../engines/postgres/embedded/cluster.ts')
  for (const folder of await databaseFolders(config.dataDir)) await resetEmbeddedCluster(folder)
  for (const path of ours) await rm(path, { recursive: true, force: true })
  // Not where something else stands in it.
  await rmdir(join(config.dataDir, 'databases')).catch(() => undefined)
  console.log(`the data in ${config.dataDir} is deleted`)
}

/** What embedded servers left in a folder, known by its marks: a folder named by mistake keeps a `store` of its own. */
async function findOurs(dataDir: string): Promise<readonly string[]> {
  const databases = await databaseFolders(dataDir)
  const marks: readonly (readonly [part: string, mark: string])[] = [
    ['store', 'store/store.log'],
    ['session-secrets', 'session-secrets'],
    ['system.json', 'system.json'],
  ]
  const parts = marks.filter(([, mark]) => existsSync(join(dataDir, mark))).map(([part]) => join(dataDir, part))
  return [...databases, ...parts]
}

/** The folders of embedded clusters, also of those that the app no longer names. */
async function databaseFolders(dataDir: string): Promise<readonly string[]> {
  const folder = join(dataDir, 'databases')
  const names = await readdir(folder).catch(() => [])
  return names.map((name) => join(folder, name)).filter((path) => existsSync(join(path, 'owner.sqlite')))
}

async function confirm(dataDir: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new FourfoldError('FF_APP_RUNNING', 'There is no terminal to ask on: add --yes to delete the data')
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question(`Delete all data in ${dataDir}? Type yes: `)
  terminal.close()
  return answer.trim() === 'yes'
}
