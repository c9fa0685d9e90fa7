/** `fourfold status`. */

import { loadCommand, type CommonOptions } from './settings.ts'
import { readSystemNote } from '../app/system-file.ts'

/** Says what runs on a data directory; ends with 3 where nothing does, as service managers expect. */
export async function status(file: string, options: CommonOptions): Promise<void> {
  const { config } = await loadCommand(file, options)
  const note = await readSystemNote(config.dataDir)
  if (note === null) {
    console.log(`nothing runs on ${config.dataDir}`)
    process.exitCode = 3
    return
  }
  console.log(`${note.url}   since ${note.since}, supervisor pid ${note.pid}`)
  for (const { name, pid } of note.processes) console.log(`  ${name.padEnd(14)} pid ${pid}`)
}
