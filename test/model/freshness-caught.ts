/** In which scenario each planted breach shows, the smallest that is known, and which promise it breaks there. */

import type { breaches } from './freshness-breaches.ts'
import * as bounded from './freshness-scenarios.ts'
import type { Scenario } from './freshness-scenarios.ts'

const { visibility, newSlot, lateTable, loss, twoClones, twoTiers, monotonic, strict, replicaCrash, failover } = bounded
const { failoverReplica, nested, strictNested, storeLoss, storeLossMonotonic, tokenDrop, eventual } = bounded

export const caughtIn: Record<
  (typeof breaches)[number],
  readonly [Scenario, 'for ever' | 'eventual' | 'session' | 'monotonic' | 'strict']
> = {
  '1: commits are stamped with their start': [visibility, 'for ever'],
  '1: the tracker acknowledges the end of a commit, plus one': [newSlot, 'for ever'],
  '2: the position of a write is read inside the transaction': [visibility, 'session'],
  '4: epochs are not compared': [failover, 'for ever'],
  '4: an entry gets the epoch in which its fill ended': [failover, 'for ever'],
  '4: a replica is taken to be in the epoch of the clone': [failoverReplica, 'for ever'],
  '7: a gap goes unnoticed': [visibility, 'for ever'],
  '7: slots are set instead of raised': [loss, 'for ever'],
  '8: the watermark moves before the filter': [visibility, 'session'],
  '8: the watermark follows the position of the server': [visibility, 'for ever'],
  '9: the tracker acknowledges what it has published': [visibility, 'for ever'],
  '10: what is received counts as visible': [visibility, 'for ever'],
  '10: a new slot begins as if everything before it were visible': [newSlot, 'for ever'],
  '11: a table joins without waiting for open writers': [lateTable, 'for ever'],
  '11: entries from before their table joined count': [lateTable, 'for ever'],
  '16: a joiner without a snapshot has no floor': [twoClones, 'for ever'],
  '16: a snapshot is loaded without its floor': [twoClones, 'for ever'],
  '19: the watermark is the asOf of a fill': [visibility, 'for ever'],
  '19: the insert position is the asOf of a fill': [visibility, 'for ever'],
  '19: the replay position is read after the data': [replicaCrash, 'for ever'],
  '19: a nested entry counts as fresh as the fill that uses it': [nested, 'for ever'],
  '20: a joiner takes the result of a running fill blindly': [visibility, 'session'],
  '20: the second tier is believed blindly': [twoTiers, 'session'],
  '20: a hit does not wait for the watermark': [visibility, 'session'],
  "20: a nested entry is used without the reader's token": [nested, 'session'],
  '20: the filter is not asked': [visibility, 'session'],
  '21: a replay position outlives its connection': [replicaCrash, 'for ever'],
  '22: the token ignores what answers showed': [monotonic, 'monotonic'],
  '22: upTo is the replay position': [monotonic, 'monotonic'],
  '22: falling back to the primary without waiting for it': [monotonic, 'monotonic'],
  '22: a hit hides that a replica filled it': [monotonic, 'monotonic'],
  '23: the position query is older than the request': [strict, 'strict'],
  "23: a replica's answer is not held": [strict, 'strict'],
  '23: a hit that a replica filled is not held': [strict, 'strict'],
  '23: a hit that a replica filled is held for the position query alone': [strict, 'strict'],
  '23: a nested entry that a replica filled is not held': [strictNested, 'strict'],
  '24: the age of a position counts from its answer': [eventual, 'eventual'],
  '31: a write is acknowledged before its token moved': [visibility, 'session'],
  '32: the floor of a new store is not asked for': [storeLoss, 'session'],
  '32: the floor of a new store does not hold the primary': [storeLossMonotonic, 'monotonic'],
  '32: a token is dropped because everybody has passed it': [tokenDrop, 'session'],
}
