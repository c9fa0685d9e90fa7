/**
 * The raw history of a run: one JSON object a line, in the order in which it happened. It is all the checker sees. Times
 * are milliseconds of one monotonic clock, that of the process that sent every request and every statement.
 *
 * A row's contents are a version, counted up by the database itself with each change of the row, and a stamp, which
 * names the write that put it there. Writes begin and end with a line each, because what has begun may show before its
 * end is known.
 */

import { createWriteStream } from 'node:fs'

import type { Level } from '../../../src/freshness/level.ts'

/** One row as a write left it or a read showed it: `counters/c3`. */
export interface Item {
  readonly key: string
  /** Of a read that shows no row: null. A write that removes a row counts its version up all the same. */
  readonly version: number | null
  /** Empty where there is no row. */
  readonly stamp: string
  /** A write removed the row. */
  readonly gone?: boolean
}

/** A write is sent. */
export interface BeginLine {
  readonly operation: 'begin'
  /** The first part of all its stamps: `id` or `id.something`. */
  readonly id: string
  readonly invoked: number
  /** All rows that it may change. */
  readonly keys: readonly string[]
  /** Whether it may remove them. */
  readonly removes: boolean
}

/** What became of a write. */
export interface WriteLine {
  readonly operation: 'write'
  readonly id: string
  /** `outside` is nobody's session: writers that do not know of the app. */
  readonly session: string
  readonly kind: string
  readonly invoked: number
  readonly returned: number
  /** `unknown`: it may have happened or not. */
  readonly outcome: 'acknowledged' | 'rolled back' | 'unknown'
  /** What an acknowledged write left behind. */
  readonly items: readonly Item[]
  /** Stamps of an acknowledged write that nobody may ever see: undone before its commit. */
  readonly undone: readonly string[]
  readonly clone: string
  readonly note?: string
}

export interface ReadLine {
  readonly operation: 'read'
  readonly session: string
  readonly level: Level
  /** `row`, `rows`, `object`, `objects`, `board`, `sum`, … */
  readonly kind: string
  readonly invoked: number
  readonly returned: number
  /** Null: it failed. */
  readonly items: readonly Item[] | null
  /** Whether all of it was read by one statement. */
  readonly snapshot: boolean
  /** In place of items: the sum of the versions of these rows. */
  readonly sum?: { readonly keys: readonly string[]; readonly value: number }
  /** The clone that answered, as the balancer names it: `clone-2.1`; empty where none did. */
  readonly clone: string
  /** Where it was read from the database: `primary`, `replica-1`; empty where that is not known. */
  readonly server: string
  /** `database`: asked without the cache. `load`: the cache asked the database. Else what served it. */
  readonly tier: 'database' | 'load' | 'memory' | 'tier' | 'joined' | 'previous' | ''
  /** Why the cache had to load; or what went wrong. */
  readonly note?: string
}

export interface FaultLine {
  readonly operation: 'fault'
  readonly name: string
  readonly invoked: number
  /** When the system worked again. */
  readonly returned: number
}

/** From here on the system runs with other settings. */
export interface PhaseLine {
  readonly operation: 'phase'
  readonly name: string
  /** In steady use the tiers of the cache that are in play, whose hits have floors; none in a storm. */
  readonly tiers: readonly ('memory' | 'tier')[]
  readonly invoked: number
}

export type Line = BeginLine | WriteLine | ReadLine | FaultLine | PhaseLine

export interface History {
  add(line: Line): void
  close(): Promise<void>
}

/** Writes to a file and tells each line to whoever wants to look while it runs. */
export function openHistory(path: string, onLine: (line: Line) => void = () => undefined): History {
  const stream = createWriteStream(path)
  return {
    add(line) {
      stream.write(`${JSON.stringify(line)}\n`)
      onLine(line)
    },
    close: () =>
      new Promise((resolve, reject) => stream.end((error?: Error | null) => (error ? reject(error) : resolve()))),
  }
}
