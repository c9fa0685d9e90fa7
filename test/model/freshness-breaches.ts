/**
 * What a wrong implementation would do: each breach of a rule of the protocol that is planted in the model, by the
 * number of its rule. `Context` is what all steps of a model are told.
 */

import type { Scenario } from './freshness-scenarios.ts'

export const breaches = [
  '1: commits are stamped with their start',
  '1: the tracker acknowledges the end of a commit, plus one',
  '2: the position of a write is read inside the transaction',
  '4: epochs are not compared',
  '4: an entry gets the epoch in which its fill ended',
  '4: a replica is taken to be in the epoch of the clone',
  '7: a gap goes unnoticed',
  '7: slots are set instead of raised',
  '8: the watermark moves before the filter',
  '8: the watermark follows the position of the server',
  '9: the tracker acknowledges what it has published',
  '10: what is received counts as visible',
  '10: a new slot begins as if everything before it were visible',
  '11: a table joins without waiting for open writers',
  '11: entries from before their table joined count',
  '16: a joiner without a snapshot has no floor',
  '16: a snapshot is loaded without its floor',
  '19: the watermark is the asOf of a fill',
  '19: the insert position is the asOf of a fill',
  '19: the replay position is read after the data',
  '19: a nested entry counts as fresh as the fill that uses it',
  '20: a joiner takes the result of a running fill blindly',
  '20: the second tier is believed blindly',
  '20: a hit does not wait for the watermark',
  "20: a nested entry is used without the reader's token",
  '20: the filter is not asked',
  '21: a replay position outlives its connection',
  '22: the token ignores what answers showed',
  '22: upTo is the replay position',
  '22: falling back to the primary without waiting for it',
  '22: a hit hides that a replica filled it',
  '23: the position query is older than the request',
  "23: a replica's answer is not held",
  '23: a hit that a replica filled is not held',
  '23: a hit that a replica filled is held for the position query alone',
  '23: a nested entry that a replica filled is not held',
  '24: the age of a position counts from its answer',
  '31: a write is acknowledged before its token moved',
  '32: the floor of a new store is not asked for',
  '32: the floor of a new store does not hold the primary',
  '32: a token is dropped because everybody has passed it',
] as const

/** Breaches that another rule makes good, at the price of a needless miss: they yield no trace. */
export const harmless = [
  '16: a snapshot is loaded before subscribing',
  '19: a nested entry counts as of its own asOf',
] as const

export type Breach = (typeof breaches)[number] | (typeof harmless)[number]

export interface Context {
  readonly scenario: Scenario
  /** Whether the implementation commits this breach. */
  commits(breach: Breach): boolean
}

export function createContext(scenario: Scenario, planted: Breach | null): Context {
  return { scenario, commits: (breach) => breach === planted }
}
