/** Finding processes as the operating system shows them, on Linux. */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

export interface ProcessEntry {
  readonly pid: number
  readonly parent: number
}

/** The processes whose parent this is. */
export function childProcesses(parent: number): ProcessEntry[] {
  return allPids()
    .flatMap((name) => {
      try {
        // The name in parentheses may hold anything; what follows the last one are fields.
        const fields = readFileSync(`/proc/${name}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ')
        return [{ pid: Number(name), parent: Number(fields[1]) }]
      } catch {
        return []
      }
    })
    .filter((entry) => entry.parent === parent)
}

/** The living processes, other than this one, that name a directory on their command line, in their environment or as their place. */
export function processesNaming(directory: string): number[] {
  const read = (look: () => string): string => {
    try {
      return look()
    } catch {
      return ''
    }
  }
  return allPids()
    .filter((pid) => pid !== String(process.pid))
    .filter((pid) =>
      [
        () => readFileSync(`/proc/${pid}/cmdline`, 'utf8'),
        () => readFileSync(`/proc/${pid}/environ`, 'utf8'),
        () => readlinkSync(`/proc/${pid}/cwd`),
      ].some((look) => read(look).includes(directory)),
    )
    .map(Number)
}

function allPids(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name))
}

/** A process's title, as servers set it to say what they are doing; empty when it is gone. */
export function processTitle(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** Sends a signal to a server and everything below it. Processes that are gone are no error. */
export function signalTree(pid: number, signal: NodeJS.Signals): void {
  for (const target of [pid, ...childProcesses(pid).map((entry) => entry.pid)]) signalProcess(target, signal)
}

export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    if (pid > 1) process.kill(pid, signal)
  } catch {
    // It is gone.
  }
}
