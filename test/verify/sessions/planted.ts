/** Breaches are planted into the running clones; the checker must find each, and reads while it runs. */

import { writeFile } from 'node:fs/promises'

import { Checker, maxStalenessMs } from '../sessions-checker.ts'
import { breachSignal, type Breach } from './breaches.ts'
import { openHistory } from './history.ts'
import { mainKeys, sessions } from './pace.ts'
import { signalProcess } from './processes.ts'
import { Traffic } from './traffic.ts'

import type { System } from './system.ts'

export interface Planting {
  readonly system: System
  /** What the clones read the breach's name from. */
  readonly breachFile: string
  /** Where the histories of these runs go: `historyPrefix` and the breach's name. */
  readonly historyPrefix: string
}

/** More writes, and to fewer keys, than in the main run, as breaches show soon after writes. */
const writeShare = 0.2

/** Plants a breach (null: none) and answers after how many milliseconds it was caught; null: it was not. */
export async function catchBreach(
  { system, breachFile, historyPrefix }: Planting,
  breach: Breach | null,
  withinMs: number,
): Promise<number | null> {
  await writeFile(breachFile, breach ?? '')
  for (const pid of system.processes('clone')) signalProcess(pid, breachSignal)
  const checker = new Checker({ maxStalenessMs })
  const begun = performance.now()
  const caught: { ms: number | null } = { ms: null }
  const history = openHistory(`${historyPrefix}${breach ?? 'none'}.jsonl`, (line) => {
    if (checker.add(line) !== null) caught.ms ??= line.returned - begun
  })
  const traffic = new Traffic({
    url: system.url,
    history,
    level: 'session',
    // Other readers in every round.
    name: `planted-${Math.round(begun)}`,
    sessions,
    keys: mainKeys.slice(0, 4),
    writeShare,
    writes: breach === 'inside-transaction' ? 'transactions' : 'alone',
  })
  traffic.start()
  while (caught.ms === null && performance.now() - begun < withinMs) await pause(10)
  await traffic.stop()
  await history.close()
  return caught.ms
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
