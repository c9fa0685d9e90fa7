import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultLimits, type BalancerLimits } from '../../src/clones/balancer/options.ts'
import type { OpenClient } from '../../src/clones/balancer/upstream/client.ts'
import { createUpstreamSet, type UpstreamSet } from '../../src/clones/balancer/upstream-set.ts'
import type { Upstream } from '../../src/clones/protocol.ts'

const unused: OpenClient = () => ({
  send: () => assert.fail('nothing is sent here'),
  close: async () => undefined,
})

const clone = (id: string): Upstream => ({ id, address: { host: '127.0.0.1', port: 1 }, buildId: '' })

const anywhere = { avoid: null, streamed: false }

function createSet(limits: Partial<BalancerLimits>, ids: readonly string[]): UpstreamSet {
  const set = createUpstreamSet({ ...defaultLimits, ...limits }, unused)
  set.set(ids.map(clone))
  return set
}

/** How many of so many requests, one after the other, each clone gets. */
function spread(set: UpstreamSet, requests = 2000): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let count = 0; count < requests; count += 1) {
    const lease = set.acquire(anywhere)
    assert.ok(lease)
    counts[lease.upstream.id] = (counts[lease.upstream.id] ?? 0) + 1
    lease.release()
  }
  return counts
}

test('a clone that joins others gets a part of its share; those that start together do not wait', () => {
  const set = createSet({ slowStartMs: 1_000_000_000 }, ['a', 'b'])
  const together = spread(set)
  assert.ok((together['a'] ?? 0) > 700 && (together['b'] ?? 0) > 700, JSON.stringify(together))
  set.set(['a', 'b', 'c'].map(clone))
  const { c = 0 } = spread(set)
  assert.ok(c > 10 && c < 200, `the fresh clone got ${c} of 2000`)
})

test('a clone that came back after failures is fresh again, and one that was there all the time is not', () => {
  const set = createSet({ slowStartMs: 1_000_000_000 }, ['a', 'b'])
  const [a] = set.states()
  assert.ok(a)
  a.fail(false, performance.now())
  assert.equal(a.wellAt(performance.now()), false)
  assert.deepEqual(Object.keys(spread(set, 50)), ['b'])
  a.succeed()
  const { a: share = 0 } = spread(set)
  assert.ok(share > 10 && share < 250, `it got ${share} of 2000`)
})

test('without a slow start every clone gets the same at once', () => {
  const set = createSet({ slowStartMs: 0 }, ['a'])
  set.set(['a', 'b'].map(clone))
  const { b = 0 } = spread(set)
  assert.ok(b > 700, `it got ${b} of 2000`)
})

test('however many clones have failed, requests still go somewhere', () => {
  const set = createSet({}, ['a', 'b', 'c'])
  for (const state of set.states()) for (let count = 0; count < 10; count += 1) state.fail(false, performance.now())
  assert.deepEqual(Object.keys(spread(set)).toSorted(), ['a', 'b', 'c'])
})

test('a clone that failed a request is tried again for it only when there is no other', () => {
  const set = createSet({}, ['a', 'b'])
  const [a, b] = set.states()
  assert.ok(a !== undefined && b !== undefined)
  for (let count = 0; count < 100; count += 1) {
    assert.equal(set.acquire({ avoid: new Set([a]), streamed: false })?.upstream.id, 'b')
    for (const state of set.states()) state.inFlight = 0
  }
  assert.ok(set.acquire({ avoid: new Set([a, b]), streamed: false }))
})

test('a place that is released twice is free once', () => {
  const set = createSet({ maxInFlight: 2 }, ['a'])
  const [first, second] = [set.acquire(anywhere), set.acquire(anywhere)]
  assert.equal(set.acquire(anywhere), null)
  first?.release()
  first?.release()
  assert.ok(set.acquire(anywhere))
  assert.equal(set.acquire(anywhere), null)
  second?.uploaded()
  assert.equal(set.acquire(anywhere), null)
})

test('who gives up waiting is not served, and takes nobody else his place', () => {
  const set = createSet({ maxInFlight: 1 }, ['a'])
  const held = set.acquire(anywhere)
  const served: string[] = []
  const leave = set.wait(anywhere, () => served.push('left'), assert.fail)
  set.wait(anywhere, () => served.push('stayed'), assert.fail)
  leave()
  held?.release()
  assert.deepEqual(served, ['stayed'])
})
