/**
 * The state of the freshness model: one primary, a replica, a tracker and the woken remains of an earlier one, a lossy
 * stream, clones with watermark and filter, entries in both tiers, running fills, and one reader.
 *
 * Commits are letters, named in the order of the scenario's writes. The log of an epoch is a string of them; commit
 * number n of the log occupies [n, n + 1), so a position is a length of the log and the end of one commit is the start
 * of the next (the adjacent commits that rule 1 is about). A value is the string of all commits that it shows for its
 * rows. Everything is immutable, so states share their parts.
 */

import type { Scenario } from './freshness-scenarios.ts'

export type Row = 'x' | 'y'
export type KeyName = 'K' | 'P'
export type Level = 'eventual' | 'session' | 'monotonic' | 'strict'

export interface Primary {
  readonly epoch: number
  readonly log: string
  /** The length of the log when this epoch began. */
  readonly fork: number
  /** Commits whose records are written, but which no snapshot shows yet. */
  readonly invisible: string
  /** From where on changes of row x are in the stream; -1 before its table joined the publication. */
  readonly joined: number
  /** Commits of transactions that changed row x before that: the stream leaves the change out. */
  readonly unsent: string
  /** What the replication slot holds as acknowledged. */
  readonly slot: number
  /** The slot is new, and nobody has yet seen all commits before its start become visible. */
  readonly unsettled: boolean
}

export interface Replica {
  readonly epoch: number
  readonly log: string
  /** The replay position that it tells: the last applied record may not be counted yet. */
  readonly replay: number
}

export interface Tracker {
  readonly isUp: boolean
  readonly epoch: number
  /** Where it began to receive: it knows the commits after this one by one. */
  readonly start: number
  /** How far it has published. */
  readonly published: number
  readonly visible: number
}

/** An earlier tracker that was stopped with commits in its memory, and woke up. */
export interface Woken {
  readonly epoch: number
  readonly from: number
  readonly commits: string
  readonly visible: number
}

/** All changes in (from, to]. */
export interface Message {
  readonly epoch: number
  readonly from: number
  readonly to: number
  readonly rows: string
  readonly visible: number
  /** From where on row x is covered, or -1. */
  readonly joined: number
}

export type CloneStage = 'up' | 'joining'

export interface Clone {
  readonly stage: CloneStage
  /** 0 as long as it has heard nothing. */
  readonly epoch: number
  readonly watermark: number
  readonly floor: number
  readonly slots: readonly number[]
  readonly joined: number
  readonly visible: number
  readonly queue: readonly Message[]
  /** A breach's half of a step: the watermark has moved, the filter has not. */
  readonly half: boolean
  readonly entries: readonly (Entry | null)[]
  readonly age: Age
}

/** What a clone knows about time, for `eventual`: the answered position query, and since when it is reached. */
export interface Age {
  readonly sentAt: number
  readonly asked: number
  readonly sampleAt: number
  readonly sample: number
  readonly reachedAt: number
}

export interface Entry {
  readonly key: KeyName
  readonly value: string
  readonly epoch: number
  readonly asOf: number
  /** Everything that it shows had been committed at this position. */
  readonly upTo: number
  /** As `upTo`, of what a replica showed; 0 where the primary showed it all. */
  readonly replicaUpTo: number
}

export interface Fill extends Entry {
  readonly source: 'primary' | 'replica'
  /** Rows still to be read, and `K` for a nested entry still to be used. */
  readonly todo: string
  /** The reader waits for it, and takes its result without a check. */
  readonly isForRead: boolean
}

export interface Token {
  readonly epoch: number
  readonly lsn: number
  /** The part of it that a replica showed. */
  readonly replica: number
}

export interface Store {
  readonly token: Token
  readonly before: Token
  /** -1 before anybody has seen this incarnation. */
  readonly floor: number
  readonly floorEpoch: number
}

export type ReadStage = 'idle' | 'asked' | 'invoked' | 'filling' | 'held'

export interface Read {
  readonly done: number
  readonly stage: ReadStage
  readonly clone: number
  readonly key: KeyName
  /** What this read must show. */
  readonly required: string
  readonly need: Token
  /** An answer of a replica that waits for the primary. */
  readonly value: string
  readonly upTo: number
  /** What the reader has been shown at `monotonic`, or anybody at `strict`. */
  readonly shown: string
}

/** How often each thing may still happen. */
export interface Budgets {
  readonly fills: number
  readonly restarts: number
  readonly woken: number
  readonly lostSlots: number
  readonly drops: number
  readonly joins: number
  readonly crashes: number
  readonly replicaCrashes: number
  readonly storeLosses: number
  readonly tokenDrops: number
  readonly ticks: number
  readonly queries: number
}

export interface State {
  readonly primary: Primary
  /** One character a write: - not begun, o its row changed and not committed (where that matters), c commit record, v visible, r told before its token (a breach), a acknowledged, f failed. */
  readonly writes: string
  /** When each write was acknowledged, one character each. */
  readonly times: string
  readonly now: number
  readonly replica: Replica | null
  readonly tracker: Tracker
  readonly woken: Woken | null
  readonly clones: readonly Clone[]
  readonly shared: readonly (Entry | null)[]
  readonly fills: readonly (Fill | null)[]
  readonly store: Store
  readonly read: Read
  readonly left: Budgets
  readonly wrong: string
}

export const noToken: Token = { epoch: 1, lsn: 0, replica: 0 }

export const idleRead = {
  stage: 'idle',
  clone: 0,
  key: 'K',
  required: '',
  need: noToken,
  value: '',
  upTo: 0,
} as const

export const newClone: Clone = {
  stage: 'joining',
  epoch: 0,
  watermark: 0,
  floor: 0,
  slots: [0, 0, 0],
  joined: -1,
  visible: 0,
  queue: [],
  half: false,
  entries: [],
  age: { sentAt: -1, asked: -1, sampleAt: 0, sample: -1, reachedAt: 0 },
}

export function initialState({ bounds }: Scenario): State {
  const writes = bounds.writes.length
  const joined = bounds.joinsLate ? -1 : 0
  return {
    primary: { epoch: 1, log: '', fork: 0, invisible: '', joined, unsent: '', slot: 0, unsettled: false },
    writes: '-'.repeat(writes),
    times: '-'.repeat(writes),
    now: 0,
    replica: bounds.replica ? { epoch: 1, log: '', replay: 0 } : null,
    tracker: { isUp: true, epoch: 1, start: 0, published: 0, visible: 0 },
    woken: null,
    clones: Array.from({ length: bounds.clones }, () => ({ ...newClone, stage: 'up' as const, epoch: 1, joined })),
    shared: [],
    fills: Array.from({ length: bounds.clones }, () => null),
    store: { token: noToken, before: noToken, floor: 0, floorEpoch: 1 },
    read: { ...idleRead, done: 0, shown: '' },
    left: { ...noBudgets, ...bounds.budgets },
    wrong: '',
  }
}

const noBudgets: Budgets = {
  fills: 0,
  restarts: 0,
  woken: 0,
  lostSlots: 0,
  drops: 0,
  joins: 0,
  crashes: 0,
  replicaCrashes: 0,
  storeLosses: 0,
  tokenDrops: 0,
  ticks: 0,
  queries: 0,
}

/** A copy of a list with one element changed. */
export function withItem<Item>(list: readonly Item[], index: number, item: Item): Item[] {
  const copy = list.slice()
  copy[index] = item
  return copy
}

export function setClone(state: State, index: number, change: Partial<Clone>): readonly Clone[] {
  const clone = state.clones[index]
  return clone === undefined ? state.clones : withItem(state.clones, index, { ...clone, ...change })
}

/** One use less of something that may happen a bounded number of times. */
export function spend(state: State, name: keyof Budgets): Budgets {
  return { ...state.left, [name]: state.left[name] - 1 }
}

/** The bit of the text that the primary's snapshots show now. */
export function visibleLog({ log, invisible }: Primary): string {
  return invisible === '' ? log : [...log].filter((id) => !invisible.includes(id)).join('')
}
