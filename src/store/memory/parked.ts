/**
 * Reads of streams that wait for an entry. They are answered when something was appended, when their stream is gone,
 * when their time is over or when the store ends, and forgotten when whoever asked has gone away.
 */

import type { Effect } from './effects.ts'
import { machineMs, type Operation } from './operations.ts'
import { isNews, type StreamAnswer } from './streams.ts'

export type FollowOperation = Extract<Operation, readonly ['followStream', ...unknown[]]>

interface Parked<Asker> {
  readonly asker: Asker
  readonly operation: FollowOperation
  readonly answer: (page: StreamAnswer) => void
  readonly timer: NodeJS.Timeout
}

export class ParkedReads<Asker> {
  private readonly byStream = new Map<string, Set<Parked<Asker>>>()
  private readonly read: (operation: FollowOperation) => StreamAnswer

  constructor(read: (operation: FollowOperation) => StreamAnswer) {
    this.read = read
  }

  /** Answers at once where there is something to tell. */
  ask(asker: Asker, operation: FollowOperation, answer: (page: StreamAnswer) => void): void {
    const page = this.read(operation)
    const leftMs = operation[4] - machineMs()
    if (leftMs <= 0 || isNews(page, operation[2])) return answer(page)
    const timer = setTimeout(() => this.release(parked), leftMs)
    const parked: Parked<Asker> = { asker, operation, answer, timer }
    const others = this.byStream.get(operation[1])
    if (others === undefined) this.byStream.set(operation[1], new Set([parked]))
    else others.add(parked)
  }

  /** Answers those whose streams these effects touch. */
  wake(effects: readonly Effect[]): void {
    if (this.byStream.size === 0) return
    for (const [kind, stream] of effects) {
      if (kind === 'appended' || kind === 'stream') this.look(stream)
    }
  }

  /** Answers those whose stream has ended without a word. */
  lookAtAll(): void {
    for (const stream of this.byStream.keys()) this.look(stream)
  }

  forget(asker: Asker): void {
    for (const parked of this.all()) if (parked.asker === asker) this.remove(parked)
  }

  releaseAll(): void {
    for (const parked of this.all()) this.release(parked)
  }

  private look(stream: string): void {
    for (const parked of [...(this.byStream.get(stream) ?? [])]) {
      if (isNews(this.read(parked.operation), parked.operation[2])) this.release(parked)
    }
  }

  private release(parked: Parked<Asker>): void {
    this.remove(parked)
    parked.answer(this.read(parked.operation))
  }

  private remove(parked: Parked<Asker>): void {
    clearTimeout(parked.timer)
    const others = this.byStream.get(parked.operation[1])
    others?.delete(parked)
    if (others?.size === 0) this.byStream.delete(parked.operation[1])
  }

  private all(): Parked<Asker>[] {
    return [...this.byStream.values()].flatMap((parked) => [...parked])
  }
}
