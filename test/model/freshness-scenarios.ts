/**
 * The bounds within which the freshness model is exhaustive. All of `scenarios` is looked at by `npm test`.
 */

import type { Budgets, KeyName, Level, Row } from './freshness-state.ts'

export interface Write {
  readonly row: Row
  /** By the reader, who then has a token for it; else by somebody else, in the app or outside of it. */
  readonly own: boolean
}

export interface Bounds {
  readonly writes: readonly Write[]
  readonly clones: 1 | 2
  readonly replica: boolean
  readonly sharedTier: boolean
  readonly keys: readonly KeyName[]
  readonly fillsOn: readonly ('primary' | 'replica')[]
  readonly reads: readonly Level[]
  /** The slots of the filter that each row has. */
  readonly slots: Readonly<Record<Row, readonly number[]>>
  /** Whether the tracker also says where it is when nothing has become visible. */
  readonly heartbeats: boolean
  /** Whether the table of row x joins the publication only later. */
  readonly joinsLate: boolean
  /** How many messages are on their way to one clone. */
  readonly inFlight: number
  readonly budgets: Partial<Budgets>
}

export interface Scenario {
  readonly name: string
  readonly bounds: Bounds
}

export const own = (row: Row): Write => ({ row, own: true })
export const other = (row: Row): Write => ({ row, own: false })

const least: Bounds = {
  writes: [own('x')],
  clones: 1,
  replica: false,
  sharedTier: false,
  keys: ['K'],
  fillsOn: ['primary'],
  reads: ['session'],
  slots: { x: [0], y: [1] },
  heartbeats: false,
  joinsLate: false,
  inFlight: 2,
  budgets: { fills: 1 },
}

export const define = (name: string, bounds: Partial<Bounds>): Scenario => ({ name, bounds: { ...least, ...bounds } })

export const visibility: Scenario = define('visibility: a tracker that restarts, and one clone', {
  writes: [own('x'), other('y')],
  budgets: { fills: 1, restarts: 1, drops: 1 },
})
export const newSlot: Scenario = define('a slot that is lost and made anew', {
  writes: [own('x'), other('y')],
  heartbeats: true,
  inFlight: 1,
  budgets: { fills: 1, lostSlots: 1, restarts: 1 },
})
export const lateTable: Scenario = define('a table that joins the publication late', {
  writes: [own('x'), other('y')],
  joinsLate: true,
  inFlight: 1,
  budgets: { fills: 1 },
})
export const loss: Scenario = define('a lossy stream and a woken tracker', {
  writes: [other('x'), other('x')],
  reads: [],
  budgets: { fills: 1, restarts: 1, woken: 1, drops: 1 },
})
export const twoClones: Scenario = define('two clones, a second tier, and a clone that joins', {
  writes: [other('x'), other('x')],
  clones: 2,
  sharedTier: true,
  reads: [],
  heartbeats: true,
  inFlight: 1,
  budgets: { fills: 1, joins: 1, drops: 1 },
})
export const twoTiers: Scenario = define('a reader between two clones and both tiers', {
  clones: 2,
  sharedTier: true,
  heartbeats: true,
  budgets: { fills: 2, drops: 1 },
})
export const monotonic: Scenario = define('monotonic with a replica', {
  writes: [other('x'), other('y')],
  replica: true,
  fillsOn: ['primary', 'replica'],
  reads: ['monotonic', 'monotonic'],
  inFlight: 1,
})
export const strict: Scenario = define('strict with a replica', {
  writes: [other('x'), other('y')],
  replica: true,
  fillsOn: ['primary', 'replica'],
  reads: ['strict', 'strict'],
  inFlight: 1,
})
export const replicaCrash: Scenario = define('a replica that comes back behind', {
  replica: true,
  fillsOn: ['replica'],
  budgets: { fills: 1, replicaCrashes: 1 },
})
export const failover: Scenario = define('a failover that uses positions again', {
  writes: [own('x'), other('x')],
  reads: [],
  heartbeats: true,
  inFlight: 1,
  budgets: { fills: 1, crashes: 1, woken: 1 },
})
export const failoverReplica: Scenario = define('a failover, with fills on a replica', {
  writes: [own('x')],
  replica: true,
  fillsOn: ['replica'],
  heartbeats: true,
  inFlight: 1,
  budgets: { fills: 1, crashes: 1 },
})
export const nested: Scenario = define('nested entries', {
  replica: true,
  keys: ['K', 'P'],
  fillsOn: ['primary', 'replica'],
  budgets: { fills: 2 },
})
export const strictNested: Scenario = define('strict, with a nested entry that a replica may have filled', {
  writes: [other('x')],
  replica: true,
  keys: ['K', 'P'],
  fillsOn: ['replica'],
  reads: ['strict', 'strict'],
  inFlight: 1,
  budgets: { fills: 2 },
})
export const collision: Scenario = define('rows that share a slot of the filter', {
  writes: [own('x'), other('y')],
  slots: { x: [0, 1], y: [1, 2] },
  budgets: { fills: 1, restarts: 1 },
})
export const storeLoss: Scenario = define('a store that loses its newest entries', {
  writes: [own('x'), own('x')],
  budgets: { fills: 1, storeLosses: 1 },
})
export const storeLossMonotonic: Scenario = define('monotonic, and a store that loses its newest entries', {
  writes: [other('x')],
  replica: true,
  fillsOn: ['replica'],
  reads: ['monotonic', 'monotonic'],
  inFlight: 1,
  budgets: { fills: 1, storeLosses: 1 },
})
export const tokenDrop: Scenario = define('a token that is dropped, and a replica that comes back behind', {
  replica: true,
  fillsOn: ['replica'],
  inFlight: 1,
  budgets: { fills: 1, tokenDrops: 1, replicaCrashes: 1 },
})
export const tokenDropMonotonic: Scenario = define('monotonic, and a token that is dropped', {
  writes: [other('x')],
  replica: true,
  fillsOn: ['replica'],
  reads: ['monotonic', 'monotonic', 'monotonic'],
  inFlight: 1,
  budgets: { fills: 1, tokenDrops: 1, replicaCrashes: 1 },
})
export const eventual: Scenario = define('eventual by the clock of one process', {
  writes: [other('x')],
  reads: ['eventual'],
  inFlight: 1,
  budgets: { fills: 1, ticks: 3, queries: 2 },
})

export const scenarios: readonly Scenario[] = [
  visibility,
  newSlot,
  lateTable,
  loss,
  twoClones,
  twoTiers,
  monotonic,
  strict,
  replicaCrash,
  failover,
  failoverReplica,
  nested,
  strictNested,
  collision,
  storeLoss,
  storeLossMonotonic,
  tokenDrop,
  tokenDropMonotonic,
  eventual,
]
