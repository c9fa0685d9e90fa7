/**
 * What a running system tells other commands on this host: `system.json` in the data directory. It is a note, not a
 * lock (the embedded servers have one): a note whose process is gone counts as absent.
 */

import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Connections } from './connections.ts'

export interface SystemNote {
  readonly pid: number
  readonly since: string
  readonly url: string
  readonly processes: readonly { readonly name: string; readonly pid: number }[]
  readonly connections: Connections
}

const fileName = 'system.json'

/** Writes the note, whole or not at all; readable by its owner only, since addresses can hold passwords. */
export async function writeSystemNote(dataDir: string, note: SystemNote): Promise<void> {
  const path = join(dataDir, fileName)
  await writeFile(`${path}.new`, JSON.stringify(note, null, 2), { mode: 0o600 })
  await rename(`${path}.new`, path)
}

export async function removeSystemNote(dataDir: string): Promise<void> {
  await rm(join(dataDir, fileName), { force: true })
}

/** The note of a system that runs, or null. */
export async function readSystemNote(dataDir: string): Promise<SystemNote | null> {
  try {
    const note = JSON.parse(await readFile(join(dataDir, fileName), 'utf8')) as SystemNote
    return isAlive(note.pid) ? note : null
  } catch {
    return null
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
