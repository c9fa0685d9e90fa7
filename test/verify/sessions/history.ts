/**
 * The raw history of a run: one JSON object a line, in the order in which operations returned. It is all the checker
 * sees. Times are milliseconds of one monotonic clock, that of the process which sent every request.
 */

import { createWriteStream, type WriteStream } from 'node:fs'

import type { Level } from '../../../src/freshness/level.ts'

export type DatabaseName = 'main' | 'own'

export interface HistoryLine {
  /** The reader. Operations of one session may overlap. */
  readonly session: string
  readonly level: Level
  readonly operation: 'read' | 'write' | 'fault'
  /** Database and key: `main/k3`. */
  readonly key: string
  /** The version written or read; null where the operation failed (a failed write may have taken place). */
  readonly value: number | null
  readonly invoked: number
  readonly returned: number
  /** The clone that answered, as the balancer names it: `clone-2.1`; empty where none did. */
  readonly clone: string
  /** The server that answered, as it says itself: `main.primary`, `own.replica-1`, `main.endpoint.replica-2`, … */
  readonly server: string
  readonly tier: 'database'
  /** What went wrong, or which fault it was. */
  readonly note?: string
}

export interface History {
  add(line: HistoryLine): void
  close(): Promise<void>
}

/** Writes to a file and tells each line to whoever wants to look while it runs. */
export function openHistory(path: string, onLine: (line: HistoryLine) => void = () => undefined): History {
  const stream: WriteStream = createWriteStream(path)
  return {
    add(line) {
      stream.write(`${JSON.stringify(line)}\n`)
      onLine(line)
    },
    close: () =>
      new Promise((resolve, reject) => stream.end((error?: Error | null) => (error ? reject(error) : resolve()))),
  }
}
