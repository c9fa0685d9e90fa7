/**
 * What a killed supervisor leaves behind. Its processes end by themselves within a second, unless they are frozen
 * (SIGSTOP, a debugger) or hang: a balancer like that goes on holding the port, a store its log. The next start ends
 * them, and only them: a number in a file could meanwhile be anybody's.
 *
 * Embedded database servers are not in the file: their engine finds its own by the directory they run in.
 */

import { setTimeout as delay } from 'node:timers/promises'

import { FourfoldError } from '../core/errors.ts'
import { isRunning, markOf } from '../core/process-mark.ts'
import { isSupervised, readWrittenNote, type NotedProcess } from './system-file.ts'

import type { Logger } from '../core/log.ts'

/** A little more than a process takes that notices that its supervisor is gone. */
const goesByItselfMs = 1_000
const killedWithinMs = 5_000

/**
 * Ends every process that the last system on this data directory left, if its supervisor is gone. Makes no file.
 *
 * @throws FF_APP_RUNNING when one cannot be ended
 */
export async function endLeftovers(dataDir: string, log: Logger): Promise<void> {
  const note = await readWrittenNote(dataDir)
  const noted = note === null || isSupervised(note) ? [] : note.processes
  warnOfUnknown(noted, log)
  let left = noted.filter(runs)
  if (left.length === 0) return
  log.warn({ processes: left.map(describe) }, 'ending what a killed system left behind')
  for (const found of left) {
    signal(found, 'SIGTERM')
    // A frozen process hears nothing else.
    signal(found, 'SIGCONT')
  }
  left = await stillThere(left, goesByItselfMs)
  for (const found of left) signal(found, 'SIGKILL')
  left = await stillThere(left, killedWithinMs)
  if (left.length === 0) return
  const who = left.map(describe).join(', ')
  throw new FourfoldError(
    'FF_APP_RUNNING',
    `${who}, left by the system that was killed on ${dataDir}, cannot be ended: end it as the user who started it, or choose another directory (--data DIR)`,
  )
}

const runs = ({ pid, mark }: NotedProcess): boolean => pid !== process.pid && isRunning(pid, mark)
const describe = ({ name, pid }: NotedProcess): string => `${name} (process ${pid})`

/** Where the system does not tell which process is which, nothing is ended; people can tell. */
function warnOfUnknown(noted: readonly NotedProcess[], log: Logger): void {
  const unknown = noted.filter(({ pid, mark }) => mark === null && markOf(pid) !== null)
  if (unknown.length === 0) return
  log.warn(
    { processes: unknown.map(describe) },
    'these numbers belonged to a system that was killed; end them if they are still its processes',
  )
}

async function stillThere(processes: readonly NotedProcess[], withinMs: number): Promise<NotedProcess[]> {
  const end = performance.now() + withinMs
  for (;;) {
    const left = processes.filter(runs)
    if (left.length === 0 || performance.now() > end) return left
    await delay(15)
  }
}

/** Looks once more at whom it is about to hit. */
function signal(noted: NotedProcess, name: NodeJS.Signals): void {
  if (!runs(noted)) return
  try {
    process.kill(noted.pid, name)
  } catch {
    // It ended in this moment, or it is not ours to end: who is left is looked at again.
  }
}
