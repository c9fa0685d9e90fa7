/**
 * The embedded store's streams. A part of the state machine in `state.ts`, whose invariants hold here too. The entries
 * of one stream have consecutive numbers, the newest is `last`; a stream that begins takes its first number from the
 * counter of fences, so that one that expired or was lost is not taken for its own continuation.
 */

import type { Effect } from './effects.ts'
import type { Keeper } from './registry.ts'

export interface HeldStream {
  expiresAt: number
  last: number
  readonly entries: Map<number, Uint8Array>
}

export type StreamAnswer = readonly [readonly (readonly [number, Uint8Array])[], number, boolean]

/** Whether a follower who is at `after` has anything to learn from an answer. */
export function isNews([, last, gap]: StreamAnswer, after: number): boolean {
  return gap || last > after
}

export class Streams {
  readonly table: Map<string, HeldStream> = new Map()
  private readonly keeper: Keeper

  constructor(keeper: Keeper) {
    this.keeper = keeper
  }

  append(stream: string, value: Uint8Array, maxEntries: number, ttlMs: number): number {
    const expiresAt = this.keeper.now() + ttlMs
    const held = this.alive(stream)
    if (held === undefined) return this.begin(stream, value, expiresAt)
    const number = held.last + 1
    this.replayAppended(stream, number, value, maxEntries, expiresAt)
    this.keeper.emit(['appended', stream, number, value, maxEntries, expiresAt])
    return number
  }

  read(stream: string, after: number, limit: number): StreamAnswer {
    const held = this.alive(stream)
    if (held === undefined) return [[], 0, after > 0]
    const oldest = held.last - held.entries.size + 1
    const first = after > held.last ? oldest : Math.max(oldest, after + 1)
    const entries: [number, Uint8Array][] = []
    for (let number = first; number <= held.last && entries.length < limit; number += 1) {
      entries.push([number, held.entries.get(number)!])
    }
    return [entries, held.last, after > 0 && (after < oldest - 1 || after > held.last)]
  }

  replay(stream: string, held: HeldStream): void {
    this.table.set(stream, held)
  }

  /** Means nothing where there is no stream. */
  replayAppended(stream: string, number: number, value: Uint8Array, maxEntries: number, expiresAt: number): void {
    const held = this.table.get(stream)
    if (held === undefined) return
    held.entries.set(number, value)
    held.last = number
    held.expiresAt = expiresAt
    for (let oldest = number - held.entries.size + 1; held.entries.size > maxEntries; oldest += 1) {
      held.entries.delete(oldest)
    }
  }

  private begin(stream: string, value: Uint8Array, expiresAt: number): number {
    const last = this.keeper.nextFence()
    const held = { expiresAt, last, entries: new Map([[last, value]]) }
    this.table.set(stream, held)
    this.keeper.emit(streamEffect(stream, held))
    return last
  }

  private alive(stream: string): HeldStream | undefined {
    const held = this.table.get(stream)
    return held !== undefined && held.expiresAt > this.keeper.now() ? held : undefined
  }
}

export function streamEffect(stream: string, held: HeldStream): Effect {
  return ['stream', stream, held.last, held.expiresAt, [...held.entries]]
}
