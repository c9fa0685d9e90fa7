/**
 * Which received commits any snapshot shows from now on: FRESHNESS rule 10.
 *
 * A commit is in the change stream as soon as it is in the log; its rows become visible later, with synchronous
 * replication perhaps much later. Commits are kept, in their order, until a snapshot that was taken afterwards shows
 * their transactions as over.
 */

import { CURRENT_EPOCH_SQL } from '../epoch.ts'
import type { Lsn } from '../../position.ts'

/** The epoch in the same statement: numbers of transactions begin again in another one. */
export const SNAPSHOT_SQL: string = `select pg_current_snapshot()::text as snapshot, (${CURRENT_EPOCH_SQL}) as epoch`

export interface Snapshot {
  readonly xmin: bigint
  /** The first number that was not over, nor among the running ones. */
  readonly xmax: bigint
  readonly running: ReadonlySet<bigint>
}

/** From PostgreSQL's text: `xmin:xmax:running,running`. */
export function parseSnapshot(text: string): Snapshot {
  const [xmin = '', xmax = '', running = ''] = text.split(':')
  const numbers = running === '' ? [] : running.split(',').map(BigInt)
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), running: new Set(numbers) }
}

/** The 64-bit number of a transaction that is at most two billion away from the snapshot. */
export function widenXid(xid: number, { xmax }: Snapshot): bigint {
  return xmax + BigInt.asIntN(32, BigInt(xid) - xmax)
}

function isOver(xid: bigint, { xmin, xmax, running }: Snapshot): boolean {
  return xid < xmin || (xid < xmax && !running.has(xid))
}

interface Pending {
  readonly end: Lsn
  readonly xid: number
}

export class Visibility {
  /** Received and not known to be visible, in the order of their ends. */
  #pending: Pending[] = []
  #first = 0
  #received: Lsn
  #visible: Lsn
  /** Transactions that may hide commits from before the slot began; null: not asked for yet. */
  #former: bigint[] | null

  /**
   * @param from the slot's position
   * @param settled whether everything up to there is known to be visible: it was acknowledged
   */
  constructor(from: Lsn, settled: boolean) {
    this.#received = from
    this.#visible = settled ? from : 0
    this.#former = settled ? [] : null
  }

  /** The end below the first commit that is not visible; 0 while nothing is known. */
  get visible(): Lsn {
    return this.#visible
  }

  /** Whether a snapshot would tell anything new. */
  get isWaiting(): boolean {
    return this.#former === null || this.#former.length > 0 || this.#first < this.#pending.length
  }

  get pendingCount(): number {
    return this.#pending.length - this.#first
  }

  /** A commit came. */
  commit(xid: number, end: Lsn): void {
    this.#pending.push({ end, xid })
    this.#received = Math.max(this.#received, end)
  }

  /** The stream has come so far, with no commit in between. */
  advance(position: Lsn): void {
    this.#received = Math.max(this.#received, position)
    this.#settle()
  }

  /** How many commits have come so far: hand it to {@link observe} with a snapshot that was asked for afterwards. */
  mark(): number {
    return this.#pending.length
  }

  /** @param mark from before the snapshot was asked for: later commits are not judged by it */
  observe(snapshot: Snapshot, mark: number): void {
    this.#former = (this.#former ?? [...snapshot.running]).filter((xid) => !isOver(xid, snapshot))
    let first = this.#first
    while (first < Math.min(mark, this.#pending.length)) {
      const next = this.#pending[first] as Pending
      if (!isOver(widenXid(next.xid, snapshot), snapshot)) break
      first += 1
    }
    this.#first = first
    this.#settle()
  }

  /** Drops what is visible; marks that were handed out before are void. */
  compact(): void {
    if (this.#first < 1000 && this.#first < this.#pending.length) return
    this.#pending = this.#pending.slice(this.#first)
    this.#first = 0
  }

  #settle(): void {
    if (this.#former === null || this.#former.length > 0) return
    const below = this.#first === 0 ? this.#visible : (this.#pending[this.#first - 1] as Pending).end
    const reached = this.#first === this.#pending.length ? this.#received : below
    this.#visible = Math.max(this.#visible, reached)
  }
}
