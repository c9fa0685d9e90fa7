/**
 * Tells whether a process number still means the process that it meant when it was written down. The system gives
 * numbers out again, so whoever reads one from a file must not send a signal on its word alone.
 */

import { execFileSync } from 'node:child_process'
import { readFileSync, readlinkSync } from 'node:fs'

/**
 * What no other process with this number has, ever: on Linux the boot, the name space of the number, and the tick in
 * which the process started; elsewhere when it started and its command line. Null where no such process runs (one that
 * ended and was not collected yet does not), or where the system does not tell.
 */
export function markOf(pid: number): string | null {
  if (!Number.isSafeInteger(pid) || pid < 1) return null
  return process.platform === 'linux' ? markByProc(pid) : markByPs(pid)
}

/** Whether the process that had this mark runs still. */
export function isRunning(pid: number, mark: string | null | undefined): boolean {
  return typeof mark === 'string' && markOf(pid) === mark
}

/** proc(5): the second field of stat is a name in parentheses and may hold anything; 3 is the state, 22 the start. */
function markByProc(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X' || fields[19] === undefined) return null
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot} ${readlinkSync('/proc/self/ns/pid')} ${fields[19]}`
  } catch {
    return null
  }
}

/** Exported for tests only: Linux has `ps` too. */
export function markByPs(pid: number): string | null {
  try {
    const words = ['-o', 'stat=', '-o', 'lstart=', '-o', 'command=', '-p', String(pid)]
    const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
    const line = execFileSync('ps', words, {
      env,
      timeout: 2000,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const [, state, mark] = /^\s*(\S+)\s+(.*\S)\s*$/.exec(line) ?? []
    return state === undefined || mark === undefined || state.startsWith('Z') ? null : mark
  } catch {
    return null
  }
}
