/**
 * Whether what a process knows of a database's changes is new enough for a scope: then its reads may be answered from the
 * cache, else the database must answer. The same levels as for replicas, with the watermark in place of what was replayed.
 */

import type { PositionMonitor } from './position-monitor.ts'
import type { Position } from '../engines/position.ts'
import type { ChangeFollower } from '../freshness/changes/follower.ts'
import type { Level } from '../freshness/level.ts'
import type { Scope } from '../freshness/scope.ts'
import type { TokenStore } from '../freshness/token-store.ts'

export interface CacheFreshnessParts {
  /** Null: nothing is known of the changes. */
  readonly changes: ChangeFollower | null
  readonly monitor: PositionMonitor
  readonly tokens: TokenStore
  /** The level of reads whose scope names none. */
  readonly level: Level
  readonly onPrimaryDown: 'serve' | 'refuse'
  readonly replicaWaitMs: number
  readonly readIndex: () => Promise<Position>
  /** Somebody waits for changes. */
  readonly onWait: () => void
}

export class CacheFreshness {
  readonly #parts: CacheFreshnessParts

  constructor(parts: CacheFreshnessParts) {
    this.#parts = parts
  }

  /**
   * Whether what this process knows of the changes is new enough for a scope's reads of the cache. Null: not known at
   * once, see {@link awaitFresh}. False: the database must answer.
   */
  freshNow(scope: Scope): boolean | null {
    const { changes, monitor } = this.#parts
    if (changes === null || scope.pinned) return false
    const least = monitor.youngEnough()
    if (least === null ? !this.#servesWhileDown() : monitor.epoch !== changes.epoch) return false
    if (least !== null && changes.watermark < least) return null
    const level = scope.level ?? this.#parts.level
    if (level === 'eventual') return true
    if (level !== 'session') return null
    const required = scope.require(this.#parts.tokens)
    if (required instanceof Promise) return null
    if (required.kind !== 'position') return false
    return changes.reached(required.position) || null
  }

  /**
   * Until when, on this process's clock, what it knows of the changes is new enough for a scope, as long as the scope's
   * version and the filter stay the same. 0: it is not, or cannot be told at once; strict readers ask each time.
   */
  freshUntilMs(scope: Scope): number {
    const { changes, monitor } = this.#parts
    if (changes === null || changes.epoch === null || scope.pinned || monitor.epoch !== changes.epoch) return 0
    const untilMs = monitor.youngUntilMs(changes.watermark)
    const level = scope.level ?? this.#parts.level
    if (level === 'eventual') return untilMs
    if (level !== 'session' || this.freshNow(scope) !== true) return 0
    return Math.min(untilMs, scope.keptUntilMs(this.#parts.tokens))
  }

  /**
   * The position up to which this process knows all changes, and which is new enough for the scope; waits for it at
   * most `replicaWait`. Null: the database must answer.
   */
  async awaitFresh(scope: Scope): Promise<Position | null> {
    const { changes, monitor } = this.#parts
    const epoch = changes?.epoch ?? null
    if (changes === null || epoch === null || scope.pinned) return null
    const required = await this.#requiredOf(scope)
    if (required === null || required.epoch !== epoch) return null
    const least = monitor.youngEnough()
    if (least === null ? !this.#servesWhileDown() : monitor.epoch !== epoch) return null
    const position = { epoch, lsn: Math.max(required.lsn, least ?? 0) }
    if (changes.reached(position)) return position
    this.#parts.onWait()
    return (await changes.waitFor(position, this.#parts.replicaWaitMs)) ? position : null
  }

  /** Whether a scope's reads are held to more than their own reader's writes. */
  isStrict(scope: Scope): boolean {
    const level = scope.level ?? this.#parts.level
    return level === 'strict' || level === 'monotonic'
  }

  /** Null: only the database will do. What `monotonic` was shown before is older than any position asked for now. */
  async #requiredOf(scope: Scope): Promise<Position | null> {
    const level = scope.level ?? this.#parts.level
    if (level === 'eventual') return { epoch: this.#parts.changes?.epoch ?? '', lsn: 0 }
    if (level === 'session') {
      const required = await scope.require(this.#parts.tokens)
      return required.kind === 'position' ? required.position : null
    }
    const ask = (): Promise<Position> => this.#parts.readIndex()
    try {
      return await (level === 'strict' ? scope.readIndex(this.#parts.tokens, ask) : ask())
    } catch {
      return null
    }
  }

  #servesWhileDown(): boolean {
    return this.#parts.monitor.primaryDown && this.#parts.onPrimaryDown === 'serve'
  }
}
