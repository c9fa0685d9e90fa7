/** `fourfold reset`. */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'

import { loadCommand, type CommonOptions } from './settings.ts'
import { readSystemNote } from '../app/system-file.ts'
import { FourfoldError } from '../core/errors.ts'

/** Deletes the data of the embedded servers, after a question. @throws FF_APP_RUNNING while a system runs on it */
export async function reset(file: string, options: CommonOptions & { readonly yes?: boolean }): Promise<void> {
  const { config } = await loadCommand(file, options)
  const note = await readSystemNote(config.dataDir)
  if (note !== null) {
    throw new FourfoldError('FF_APP_RUNNING', `A system runs on ${config.dataDir} (pid ${note.pid}): stop it first`)
  }
  if (options.yes !== true && !(await confirm(config.dataDir))) return console.log('nothing was deleted')
  const { resetEmbeddedCluster } = await import('../engines/postgres/embedded/cluster.ts')
  for (const [name, database] of Object.entries(config.databases)) {
    if (database.url === undefined) await resetEmbeddedCluster(join(config.dataDir, 'databases', name))
  }
  for (const part of ['databases', 'store', 'session-secrets', 'system.json']) {
    await rm(join(config.dataDir, part), { recursive: true, force: true })
  }
  console.log(`the data in ${config.dataDir} is deleted`)
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
