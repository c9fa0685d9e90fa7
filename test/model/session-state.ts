/**
 * The state of the session model: one primary, its replicas, the central store, two clones, and one reader (the
 * session) who writes and reads through both clones while somebody else writes too.
 *
 * A log is a string of records: a digit is the mirrored row of an epoch with that number, `a` and
 * `b` are the reader's own commits, `oo` is somebody else's (a long record, so that positions shift). A position is a length of the log: the end of a
 * record. Everything is immutable, so states can share their parts.
 */

export type Epoch = number
export type Lsn = number

export interface Position {
  readonly epoch: Epoch
  readonly lsn: Lsn
}

/** A token: the greatest position for each epoch. Keys from 100 on stand for writes whose position did not come. */
export type Parts = Readonly<Record<Epoch, Lsn>>

export interface Primary {
  readonly log: string
  /** How much of the log survives a crash. Replicas receive no more than this. */
  readonly flushed: Lsn
  /** The row of the UNLOGGED table; 0 when crash recovery has emptied it. */
  readonly epoch: Epoch
  readonly nextEpoch: Epoch
}

export interface CloneState {
  /** The epoch that this process last heard of from the primary. */
  readonly view: Epoch
  /** The replica that the clone's connection leads to, or -1 while it is broken. */
  readonly replica: number
  /** What was last read on this very connection. */
  readonly known: Position | null
  /** The floor that this process has learned last, so that it need not ask the store for each read. */
  readonly floor: { readonly incarnation: number; readonly epoch: Epoch; readonly lsn: Lsn } | null
}

export interface StoreState {
  readonly incarnation: number
  readonly token: Parts
  /** The token before its last change: what a store that loses its newest entries may fall back to. */
  readonly before: Parts
  /** Floors of this incarnation, by epoch. */
  readonly floors: Parts
}

export type WriteStage = 'idle' | 'open' | 'committing' | 'returned' | 'positioned' | 'raised' | 'done' | 'failed'

export interface Write {
  readonly stage: WriteStage
  /** The end of its commit record. */
  readonly end: Lsn
  readonly position: Position | null
  readonly acknowledged: boolean
}

export type ReadStage = 'idle' | 'invoked' | 'token' | 'floor' | 'ready' | 'reading' | 'healing' | 'done'

export interface Read {
  readonly stage: ReadStage
  /** The reader's writes that were acknowledged when the read was invoked: what it must see. */
  readonly required: string
  readonly seen: Parts
  readonly incarnation: number
  /** The position that a replica must have reached. */
  readonly need: Position | null
  /** The primary's position, read for a floor or to heal a token. */
  readonly fetched: Position | null
  /** The replica's log when the read's snapshot was taken; null: it is taken as the data is read. */
  readonly snapshot: string | null
  readonly wrong: string
}

/** How often each thing may still happen. */
export interface Budgets {
  readonly others: number
  readonly crashes: number
  readonly failovers: number
  readonly replicaCrashes: number
  readonly drops: number
  readonly storeLosses: number
  readonly unknowns: number
}

export interface State {
  readonly primary: Primary
  readonly replicas: readonly string[]
  readonly clones: readonly CloneState[]
  readonly store: StoreState
  readonly writes: readonly Write[]
  readonly reads: readonly Read[]
  readonly budgets: Budgets
}

export interface Bounds extends Partial<Budgets> {
  readonly replicas: number
  readonly writes: number
  readonly reads: number
}

export function initialState(bounds: Bounds): State {
  const { replicas, writes, reads, ...budgets } = bounds
  return {
    primary: { log: '1', flushed: 1, epoch: 1, nextEpoch: 2 },
    replicas: Array.from({ length: replicas }, () => '1'),
    clones: Array.from({ length: reads }, () => ({
      view: 1,
      replica: 0,
      known: null,
      floor: { incarnation: 1, epoch: 1, lsn: 1 },
    })),
    store: { incarnation: 1, token: {}, before: {}, floors: { 1: 1 } },
    writes: Array.from({ length: writes }, () => ({
      stage: 'idle' as const,
      end: 0,
      position: null,
      acknowledged: false,
    })),
    reads: Array.from({ length: reads }, () => idleRead),
    budgets: {
      others: 0,
      crashes: 0,
      failovers: 0,
      replicaCrashes: 0,
      drops: 0,
      storeLosses: 0,
      unknowns: 0,
      ...budgets,
    },
  }
}

export const idleRead: Read = {
  stage: 'idle',
  required: '',
  seen: {},
  incarnation: 0,
  need: null,
  fetched: null,
  snapshot: null,
  wrong: '',
}

/** The character of the reader's write with this index. */
export const recordOf = (index: number): string => 'ab'[index] ?? 'c'

export const insertPosition = (primary: Primary): Position => ({ epoch: primary.epoch, lsn: primary.log.length })

/** What one statement on a replica answers: the mirrored epoch and the replay position. */
export function replayPosition(log: string): Position {
  return { epoch: Number(log.replace(/\D/g, '').at(-1)), lsn: log.length }
}

/** A copy of a list with one element changed. */
export function changed<Item extends object>(list: readonly Item[], index: number, change: Partial<Item>): Item[] {
  return list.map((item, at) => (at === index ? { ...item, ...change } : item))
}

export function isSame(left: Parts, right: Parts): boolean {
  return JSON.stringify(left) === JSON.stringify(right)
}
