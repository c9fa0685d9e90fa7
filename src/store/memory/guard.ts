/**
 * One server per log at a time, also when the other one is only paused.
 *
 * The guard is an exclusive lock of the kernel on a file beside the log. The kernel gives it up when its process is
 * gone and not before: a server that is stopped by SIGSTOP still has it, and one that was killed has it until its
 * last thread has left its last system call. So whoever has the guard may read the log and answer, and nobody else
 * can. Node offers no flock; SQLite, which is part of Node, takes such a lock and is used for nothing else here.
 *
 * `<log>.owner` tells people (and the next start) who holds the guard. It is a hint, never the lock.
 */

import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { FourfoldError } from '../../core/errors.ts'
import type { Logger } from '../../core/log.ts'
import { isRunning, markOf } from '../../core/process-mark.ts'

const retryMs = 10
const killedMs = 5_000

export interface GuardOptions {
  /** The log that is guarded. */
  readonly path: string
  /** How long an owner that is about to end is waited for. */
  readonly waitMs: number
  readonly log: Logger
}

export interface Guard {
  release(): void
}

interface Process {
  readonly pid: number
  /** Tells it from a later process with its number; null where the system does not tell. */
  readonly mark: string | null
}

interface Owner extends Process {
  readonly parent: Process
}

/** Takes the guard of a log. Throws FF_STORE_LOCKED with the owner when it is held. */
export async function takeGuard(options: GuardOptions): Promise<Guard> {
  const guardPath = `${options.path}.guard`
  const ownerPath = `${options.path}.owner`
  let deadline = performance.now() + options.waitMs
  for (;;) {
    const lock = tryLock(guardPath)
    if (lock !== null) {
      writeFileSync(ownerPath, JSON.stringify(describeSelf()))
      return { release: () => release(lock, guardPath, ownerPath) }
    }
    if (performance.now() > deadline) {
      const owner = readOwner(ownerPath)
      if (owner === null || !endOrphan(owner, options.log)) throw lockedError(options.path, owner)
      // The kernel takes its time with a killed process, and gives up the lock last.
      deadline = performance.now() + killedMs
    }
    await pause(retryMs)
  }
}

/** A lock that is certainly on the file that has the name now: an owner that ends takes its file away. */
function tryLock(path: string): DatabaseSync | null {
  const database = new DatabaseSync(path)
  const before = identify(path)
  try {
    // In memory: a journal file would be one more thing to leave behind.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    if (before !== null && before === identify(path)) return database
  } catch (error) {
    if (!isBusy(error)) throw error
  }
  database.close()
  return null
}

/** Names taken away before the lock is given up, so that nobody can lock a file and then lose its name to us. */
function release(lock: DatabaseSync, guardPath: string, ownerPath: string): void {
  rmSync(ownerPath, { force: true })
  rmSync(guardPath, { force: true })
  lock.close()
}

/** Inode and birth: an inode's number is used again, both together are not. */
function identify(path: string): string | null {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false })
  return found === undefined ? null : `${found.dev}:${found.ino}:${found.birthtimeNs}`
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (error.errcode === 5 || error.errcode === 6)
}

/**
 * Ends a server whose supervisor is gone and which has not noticed, because it is paused or hangs: a running one ends
 * by itself within a second. Answers whether there was such a one. Only where the system tells who is who.
 */
function endOrphan(owner: Owner, log: Logger): boolean {
  if (owner.pid === process.pid || owner.parent.mark === null) return false
  if (!isRunning(owner.pid, owner.mark) || isRunning(owner.parent.pid, owner.parent.mark)) return false
  log.warn({ pid: owner.pid }, 'ended a store server that its supervisor left behind')
  try {
    process.kill(owner.pid, 'SIGKILL')
  } catch {
    // It ended in the meantime.
  }
  return true
}

function describeSelf(): Owner {
  const parent = { pid: process.ppid, mark: markOf(process.ppid) }
  return { pid: process.pid, mark: markOf(process.pid), parent }
}

function readOwner(path: string): Owner | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Owner
  } catch {
    return null
  }
}

function lockedError(path: string, owner: Owner | null): FourfoldError {
  const who = owner === null ? 'another process' : `process ${owner.pid}`
  return new FourfoldError(
    'FF_STORE_LOCKED',
    `${who} serves the store of ${path}; stop it, or give this one another data directory`,
    {
      fields: { path, pid: owner?.pid },
    },
  )
}
