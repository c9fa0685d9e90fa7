/**
 * What a system writes down about itself while it lives: `system.json` in the data directory.
 *
 * Other commands on this host find the system by it. The next start finds there which processes a supervisor left that
 * was killed: a process is in the file from the moment it is spawned until it is gone, and every change replaces the
 * whole file. It is a note, not a lock (the data directory has one): a note whose supervisor is gone counts as absent.
 */

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { isRunning, markOf } from '../core/process-mark.ts'

import type { Connections } from './connections.ts'
import type { Logger } from '../core/log.ts'

export interface NotedProcess {
  readonly name: string
  readonly pid: number
  /** Tells this process from a later one with its number; null where the system does not tell. */
  readonly mark: string | null
}

/** A system that serves. */
export interface SystemNote {
  readonly pid: number
  readonly since: string
  readonly url: string
  readonly processes: readonly NotedProcess[]
  readonly connections: Connections
}

/** The file's content: before the system serves, and while it stops, it has no address. */
export type WrittenNote = Omit<SystemNote, 'url' | 'connections'> &
  Partial<Pick<SystemNote, 'url' | 'connections'>> & { readonly mark: string | null }

export interface SystemFile {
  add(name: string, pid: number): void
  drop(name: string): void
  /** From now on other commands find the system; null: from now on they do not. */
  publish(serving: Pick<SystemNote, 'url' | 'connections'> | null): void
  remove(): void
}

/**
 * Begins the note of this process's system, without any process. The caller owns the data directory.
 *
 * Written in one go and at once, because whoever is killed next may be this process.
 */
export function createSystemFile(dataDir: string, log: Logger): SystemFile {
  const path = filePath(dataDir)
  const about = { pid: process.pid, mark: markOf(process.pid), since: new Date().toISOString() }
  const processes = new Map<string, NotedProcess>()
  let serving: Pick<SystemNote, 'url' | 'connections'> | null = null
  const write = (): void => {
    const note: WrittenNote = { ...about, ...serving, processes: [...processes.values()] }
    // Readable by its owner only, since addresses can hold passwords.
    writeFileSync(`${path}.new`, JSON.stringify(note, null, 2), { mode: 0o600 })
    renameSync(`${path}.new`, path)
  }
  const rewrite = (): void => {
    try {
      write()
    } catch (error) {
      // A full disc must not keep a system from replacing a clone.
      log.warn({ error, path }, 'the note about the running system could not be written')
    }
  }
  mkdirSync(dataDir, { recursive: true })
  write()
  return {
    add: (name, pid) => {
      if (pid < 1) return
      processes.set(name, { name, pid, mark: markOf(pid) })
      rewrite()
    },
    drop: (name) => {
      if (processes.delete(name)) rewrite()
    },
    publish: (now) => {
      serving = now
      rewrite()
    },
    remove: () => rmSync(path, { force: true }),
  }
}

/** What is written, whether the system lives or not; null: nothing, or nothing that can be read. */
export async function readWrittenNote(dataDir: string): Promise<WrittenNote | null> {
  try {
    const note = JSON.parse(await readFile(filePath(dataDir), 'utf8')) as WrittenNote
    return Array.isArray(note.processes) ? note : null
  } catch {
    return null
  }
}

/** The note of a system that serves, or null. */
export async function readSystemNote(dataDir: string): Promise<SystemNote | null> {
  const note = await readWrittenNote(dataDir)
  if (note?.url === undefined || note.connections === undefined) return null
  return isSupervised(note) ? (note as SystemNote) : null
}

/** Whether the supervisor that wrote this lives. */
export function isSupervised(note: WrittenNote): boolean {
  return note.mark === null ? isAlive(note.pid) : isRunning(note.pid, note.mark)
}

const filePath = (dataDir: string): string => join(dataDir, 'system.json')

/** All that can be said where the system does not tell one process from another. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
