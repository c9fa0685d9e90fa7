/** A system with a breach planted is used until the checker, which reads while it runs, finds what is wrong. */

import { Checker, maxStalenessMs, type Violation } from '../consistency-checker.ts'
import { openHistory } from './history.ts'
import { OutsideWriters } from './outside.ts'
import { levels as allLevels } from './phases.ts'
import { Traffic } from './traffic.ts'

import type { Breach } from './breaches.ts'
import type { Scene } from './faults.ts'

export interface Planting {
  readonly scene: Scene
  /** Null: nothing, for comparison. */
  readonly breach: Omit<Breach, 'plants'> | null
  readonly withinMs: number
  /** The file for the history. */
  readonly path: string
}

export interface Caught {
  readonly ms: number
  readonly violation: Violation
}

/** Answers what was caught first and after how long; null: nothing was. */
export async function catchBreach({ scene, breach, withinMs, path }: Planting): Promise<Caught | null> {
  const { system, ground } = scene
  const checker = new Checker({ maxStalenessMs })
  const begun = performance.now()
  const found: { caught: Caught | null } = { caught: null }
  const history = openHistory(path, (line) => {
    const violation = checker.add(line)
    if (violation !== null) found.caught ??= { ms: performance.now() - begun, violation }
  })
  const late: string[] = []
  // Tables that join late have names of their own in each run.
  const name = `rule${breach?.rule ?? 0}at${Math.round(begun)}`
  const {
    writeShare = 0.1,
    levels = allLevels,
    reads,
    variants,
    cachedShare = 0.9,
    outside: kinds,
    outsideMs: everyMs = 200,
    writers,
    meanwhile,
  } = breach ?? {}
  const onTable = (key: string): void => void late.push(key)
  const options = { url: system.url, history, name, levels, writeShare, cachedShare, late, reads, variants }
  const traffic = new Traffic(options)
  const outside = new OutsideWriters({ servers: ground.servers, history, name, everyMs, onTable, kinds, writers })
  traffic.start()
  outside.start()
  const isOver = (): boolean => found.caught !== null || performance.now() - begun > withinMs
  // Until tables are watched and something is kept: tables do not join while writers hang.
  const warmReads = meanwhile === undefined ? 0 : 400
  while (!isOver() && traffic.answered < warmReads && performance.now() - begun < 15_000) await pause(20)
  while (!isOver()) {
    await meanwhile?.(scene)
    for (let at = 0; at < 50 && !isOver(); at += 1) await pause(20)
  }
  await outside.stop()
  await traffic.stop()
  await history.close()
  return found.caught
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
