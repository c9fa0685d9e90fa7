/** The session protocol holds in every reachable state of the bounded model, and each planted breach is caught. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { explore, formatTrace } from './explorer.ts'
import { breaches, sessionModel, type Breach, type Scenario } from './session-protocol.ts'

const races: Scenario = {
  name: 'races of two writes and a read',
  bounds: { replicas: 1, writes: 2, reads: 1, others: 1 },
}
const asynchronous: Scenario = {
  name: 'synchronous_commit off',
  bounds: { replicas: 1, writes: 1, reads: 1, others: 1 },
  asyncCommit: true,
}
const crash: Scenario = {
  name: 'a crash of the primary between two writes',
  bounds: { replicas: 1, writes: 2, reads: 1, crashes: 1 },
}
const crashTwoReads: Scenario = {
  name: 'a crash of the primary before two reads',
  bounds: { replicas: 1, writes: 1, reads: 2, crashes: 1 },
}
const failover: Scenario = {
  name: 'a failover that drops an unanswered tail',
  bounds: { replicas: 1, writes: 1, reads: 1, others: 1, failovers: 1 },
}
const endpoint: Scenario = {
  name: 'two replicas behind one endpoint',
  bounds: { replicas: 2, writes: 1, reads: 1, replicaCrashes: 1, drops: 1 },
}
const store: Scenario = {
  name: 'a store that loses its newest entries',
  bounds: { replicas: 1, writes: 2, reads: 1, storeLosses: 1 },
}
const storeTwice: Scenario = {
  name: 'a store that loses its newest entries twice',
  bounds: { replicas: 1, writes: 1, reads: 2, storeLosses: 2 },
}
const unknown: Scenario = {
  name: 'positions that do not come',
  bounds: { replicas: 1, writes: 2, reads: 2, unknowns: 2 },
}
const everything: Scenario = {
  name: 'one of everything',
  bounds: { replicas: 1, writes: 1, reads: 1, crashes: 1, replicaCrashes: 1, storeLosses: 1, unknowns: 1 },
}
const scenarios = [
  races,
  asynchronous,
  crash,
  crashTwoReads,
  failover,
  endpoint,
  store,
  storeTwice,
  unknown,
  everything,
]

for (const scenario of scenarios) {
  test(`session holds in every state: ${scenario.name}`, (t) => {
    const { states, violation } = explore(sessionModel(scenario, null))
    t.diagnostic(`${states} states`)
    assert.equal(violation, null, violation === null ? '' : formatTrace(violation))
    assert.ok(states > 500, 'a model that reaches next to nothing proves nothing')
  })
}

const caughtIn: Record<Breach, Scenario> = {
  'position read inside the transaction': races,
  'start of the commit record as position': races,
  'flush position instead of insert position': asynchronous,
  'token moved after the response': races,
  'position polled on another connection': endpoint,
  'position kept over a reconnect': endpoint,
  'position read inside the snapshot that reads the data': races,
  'epoch ignored': failover,
  'raise overwrites instead of keeping the maximum': races,
  'raise of an old epoch replaces a newer token': crash,
  'store incarnation ignored': store,
  'floor only for readers without a token': store,
  'incarnation asked before the token': store,
  'healing without compare': unknown,
  'healing position read before the token': unknown,
  'unknown positions marked alike': unknown,
}

for (const breach of breaches) {
  test(`a planted breach yields a trace: ${breach}`, (t) => {
    const { violation } = explore(sessionModel(caughtIn[breach], breach))
    assert.ok(violation, 'the breach went unnoticed')
    t.diagnostic(`\n${formatTrace(violation)}`)
  })
}
