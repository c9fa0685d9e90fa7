/** Opens the app for a command: with the servers of the system that runs on this data directory, or with its own. */

import { open } from '../app/open.ts'
import { readSystemNote } from '../app/system-file.ts'

import type { CommandContext } from './settings.ts'
import type { Fourfold } from '../app/fourfold.ts'

export async function openBeside({ app, config, overrides, log }: CommandContext): Promise<Fourfold> {
  const note = await readSystemNote(config.dataDir)
  return await open(app, { config: overrides, log, ...(note === null ? {} : { connections: note.connections }) })
}
