/** The checker of consistency histories finds what it must, and nothing else, in histories made by hand. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { breaches, plantedEnv } from '../verify/consistency/breaches.ts'
import { Checker } from '../verify/consistency-checker.ts'
import { FloorCounts, type Counts } from '../verify/consistency/counts.ts'
import { missedFloors, quickFloors } from '../verify/consistency/floors.ts'
import { kindsOfWrites } from '../verify/consistency/write-kinds.ts'

import type { Item, Line, ReadLine, WriteLine } from '../verify/consistency/history.ts'
import type { Level } from '../../src/freshness/level.ts'

const maxStalenessMs = 100

/** What is wrong with a history, in words. */
function check(...lines: readonly (Line | readonly Line[])[]): readonly string[] {
  const checker = new Checker({ maxStalenessMs })
  for (const line of lines.flat() as Line[]) checker.add(line)
  return checker.findings().violations.map(({ what }) => what)
}

const row = (version: number | null, stamp = '', key = 'k'): Item => ({ key, version, stamp })

function begin(id: string, invoked: number, { keys = ['k'], removes = false } = {}): Line {
  return { operation: 'begin', id, invoked, keys, removes }
}

function end(id: string, invoked: number, items: readonly Item[], more: Partial<WriteLine> = {}): Line {
  const outcome = 'acknowledged'
  const base = { session: 'other', kind: 'update', outcome, undone: [], clone: '' } as const
  return { operation: 'write', id, invoked, returned: invoked + 5, items, ...base, ...more }
}

/** A write that is acknowledged five milliseconds after it began, with a stamp of its own id. */
function wrote(id: string, invoked: number, version: number, more: Partial<WriteLine> = {}): Line[] {
  return [begin(id, invoked), end(id, invoked, [row(version, id)], more)]
}

function removed(id: string, invoked: number, version: number): Line[] {
  return [begin(id, invoked, { removes: true }), end(id, invoked, [{ ...row(version), gone: true }])]
}

function read(level: Level, invoked: number, items: readonly Item[], more: Partial<ReadLine> = {}): Line {
  const base = { session: 'me', kind: 'row', snapshot: true, clone: 'clone-1.1', server: 'primary' } as const
  return { operation: 'read', level, invoked, returned: invoked + 5, items, tier: 'database', ...base, ...more }
}

test('a session must see its own acknowledged write, and need not see those of others', () => {
  const mine = wrote('w1', 0, 1, { session: 'me' })
  assert.deepEqual(check(mine, read('session', 10, [row(0, 'initial')])), [
    'version 0 of k: expected at least version 1',
  ])
  assert.deepEqual(check(mine, read('session', 10, [row(1, 'w1')])), [])
  assert.deepEqual(check(wrote('w1', 0, 1), read('session', 10, [row(0, 'initial')])), [])
})

test('what was acknowledged after a read was sent may be missing', () => {
  const mine = wrote('w1', 0, 1, { session: 'me' })
  for (const level of ['session', 'monotonic', 'strict'] as const) {
    assert.deepEqual(check(mine, read(level, 3, [row(0, 'initial')])), [])
  }
})

test('a reader at monotonic may not be shown less than before, a reader at session may', () => {
  const lines = wrote('w1', 0, 1)
  const twice = (level: Level) => [read(level, 10, [row(1, 'w1')]), read(level, 20, [row(0, 'initial')])]
  assert.equal(check(lines, twice('monotonic')).length, 1)
  assert.equal(check(lines, twice('session')).length, 0)
  const someoneElse = read('monotonic', 20, [row(0, 'initial')], { session: 'third' })
  assert.deepEqual(check(lines, read('monotonic', 10, [row(1, 'w1')]), someoneElse), [])
})

test('reads that overlap are in no order', () => {
  const lines = [wrote('w1', 0, 1), read('monotonic', 10, [row(1, 'w1')]), read('monotonic', 14, [row(0, 'initial')])]
  assert.deepEqual(check(...lines), [])
})

test('a strict reader must see what anybody was told of, outside the app too, and what strict readers were shown', () => {
  const outside = wrote('w1', 0, 1, { session: 'outside' })
  assert.equal(check(outside, read('strict', 10, [row(0, 'initial')])).length, 1)
  assert.equal(check(outside, read('session', 10, [row(0, 'initial')])).length, 0)
  const open = begin('w2', 0)
  const shown = read('strict', 10, [row(1, 'w2')], { session: 'other' })
  assert.equal(check(open, shown, read('strict', 20, [row(0, 'initial')])).length, 1)
})

test('a reader at eventual may be as far behind as the bound, and no further', () => {
  assert.deepEqual(check(wrote('w1', 0, 1), read('eventual', 104, [row(0, 'initial')])), [])
  assert.equal(check(wrote('w1', 0, 1), read('eventual', 106, [row(0, 'initial')])).length, 1)
})

test('nobody may see what was rolled back, whether that is known before or after', () => {
  const rollback = end('w1', 0, [], { outcome: 'rolled back' })
  const seen = read('eventual', 2, [row(1, 'w1')])
  assert.deepEqual(check(begin('w1', 0), rollback, read('eventual', 10, [row(1, 'w1')])), [
    'version 1 of k is more than anybody can have written',
  ])
  assert.deepEqual(check(begin('w1', 0), seen, rollback), ['w1 was rolled back'])
  assert.deepEqual(check(begin('w1', 0), seen, end('w1', 0, [row(1, 'w1')])), [])
})

test('nobody may see what a savepoint undid, or what nobody wrote', () => {
  const acknowledged = end('w1', 0, [row(1, 'w1', 'a')], { undone: ['w1.undone'] })
  const dirty = read('eventual', 10, [row(1, 'w1.undone', 'b')])
  const keys = { keys: ['a', 'b'] }
  assert.equal(check(begin('w1', 0, keys), acknowledged, wrote('w2', 0, 1), begin('w3', 6, keys), dirty).length, 1)
  assert.equal(check(begin('w1', 0, keys), read('eventual', 2, [row(1, 'w1.undone', 'b')]), acknowledged).length, 1)
  assert.deepEqual(check(wrote('w1', 0, 1), read('eventual', 10, [row(1, 'w9')])), ['k: nobody has written w9'])
})

test('a write whose end is not known may be seen or not, at any time', () => {
  const unknown = [begin('w1', 0), end('w1', 0, [], { outcome: 'unknown', session: 'me' })]
  assert.deepEqual(check(unknown, read('strict', 10, [row(0, 'initial')]), read('strict', 20, [row(1, 'w1')])), [])
  assert.equal(check(unknown, read('strict', 10, [row(1, 'w1')]), read('strict', 20, [row(0, 'initial')])).length, 1)
  assert.equal(check(unknown, wrote('w2', 30, 2), read('strict', 40, [row(1, 'w1')])).length, 1)
})

test('a version has one stamp: two acknowledged writes of one version are one write lost', () => {
  assert.equal(check(wrote('w1', 0, 1), wrote('w2', 10, 1)).length, 1)
  assert.equal(check(wrote('w1', 0, 1), begin('w2', 10), read('eventual', 11, [row(1, 'w2')])).length, 1)
})

test('a row may be missing only where a removal explains it that is new enough', () => {
  const gone = (level: Level, invoked: number) => read(level, invoked, [row(null)])
  assert.equal(check(gone('eventual', 0)).length, 1)
  assert.deepEqual(check(wrote('w1', 0, 1), removed('w2', 10, 2), gone('strict', 20)), [])
  assert.equal(check(removed('w1', 0, 1), wrote('w2', 10, 2), gone('strict', 20)).length, 1)
  assert.deepEqual(check(removed('w1', 0, 1), wrote('w2', 10, 2), gone('session', 20)), [])
  // It is not there any more, so an older version is stale.
  assert.equal(check(wrote('w1', 0, 1), removed('w2', 10, 2), read('strict', 20, [row(1, 'w1')])).length, 1)
})

test('a removal that has begun, or whose end is not known, may explain that a row is missing', () => {
  const mine = wrote('w1', 0, 1, { session: 'me' })
  const open = begin('w2', 10, { removes: true })
  assert.deepEqual(check(mine, open, read('strict', 20, [row(null)])), [])
  const unknown = end('w2', 10, [], { outcome: 'unknown' })
  assert.deepEqual(check(mine, open, unknown, read('strict', 20, [row(null)])), [])
  const over = end('w2', 10, [], { outcome: 'rolled back' })
  assert.equal(check(mine, open, over, read('strict', 20, [row(null)])).length, 1)
})

test('who was shown that a row is gone may not be shown what was there before', () => {
  const lines = [wrote('w1', 0, 1), removed('w2', 10, 2), read('monotonic', 20, [row(null)])]
  assert.equal(check(...lines, read('monotonic', 30, [row(1, 'w1')])).length, 1)
})

test('one statement shows all of a commit or nothing of it; several statements may show a part', () => {
  const both = { keys: ['a', 'b'] }
  const items = [row(1, 'w1', 'a'), row(1, 'w1', 'b')]
  const torn = [row(1, 'w1', 'a'), row(0, 'initial', 'b')]
  const lines = [begin('w1', 0, both), end('w1', 0, items)]
  assert.deepEqual(check(...lines, read('eventual', 10, torn)), ['a is of w1 and b is from before it'])
  assert.deepEqual(check(...lines, read('eventual', 10, torn, { snapshot: false })), [])
  assert.deepEqual(check(...lines, read('eventual', 10, items)), [])
  // Also where the commit is known only later.
  assert.equal(check(begin('w1', 0, both), read('eventual', 1, torn), end('w1', 0, items)).length, 1)
})

test('a sum lies between what its rows must be and what they can be', () => {
  const sum = (level: Level, invoked: number, value: number, session = 'me') =>
    read(level, invoked, [], { sum: { keys: ['k', 'l'], value }, session })
  const lines = [wrote('w1', 0, 1), begin('w2', 0, { keys: ['l'] })]
  assert.deepEqual(check(...lines, sum('strict', 10, 1), sum('strict', 20, 2)), [])
  assert.equal(check(...lines, sum('strict', 10, 0)).length, 1)
  assert.equal(check(...lines, sum('eventual', 10, 3)).length, 1)
  assert.equal(check(...lines, sum('monotonic', 10, 2), sum('monotonic', 20, 1)).length, 1)
  assert.deepEqual(check(...lines, sum('monotonic', 10, 2), sum('monotonic', 20, 1, 'other')), [])
})

test('a run is refused that proves nothing', () => {
  const counts = enough()
  assert.deepEqual(missedFloors(counts, quickFloors), [])
  const refused = (more: Partial<Counts>): readonly string[] => missedFloors({ ...counts, ...more }, quickFloors)
  assert.equal(refused({ reads: { ...counts.reads, strict: 10 } }).length, 1)
  assert.equal(refused({ writes: { ...counts.writes, 'outside: ddl': 0 } }).length, 1)
  assert.equal(refused({ calmSession: { reads: 100, onReplicas: 40 } }).length, 1)
  assert.equal(refused({ calmTiers: { 'one: memory': { lookUps: 100, hits: 40 } } }).length, 1)
  assert.equal(refused({ calmTiers: {} }).length, 1)
  assert.equal(refused({ faults: { 'SIGKILL to a clone': [1], 'SIGKILL to Redis': [1] } }).length, 1)
  assert.equal(refused({ readsByClone: { 'clone-1': 1000, 'clone-2': 50 } }).length, 1)
})

test('hits and reads on replicas are counted in steady use', () => {
  const counts = new FloorCounts()
  counts.add({ operation: 'phase', name: 'one', tiers: ['memory'], invoked: 0 })
  const at = (invoked: number, more: Partial<ReadLine>): void => counts.add(read('session', invoked, [], more))
  at(10_000, { tier: 'memory' })
  at(10_001, { tier: 'load', note: 'row' })
  at(10_002, { server: 'replica-1' })
  counts.add({ operation: 'fault', name: 'SIGKILL to a clone', invoked: 20_000, returned: 21_000 })
  at(20_500, { tier: 'load', note: 'absent' })
  at(22_000, { server: 'primary' })
  const { calmSession, calmTiers, misses } = counts.result()
  assert.deepEqual(calmSession, { reads: 1, onReplicas: 1 })
  assert.deepEqual(calmTiers, { 'one: memory': { lookUps: 2, hits: 1 } })
  assert.deepEqual(misses, { row: 1, absent: 1 })
})

test('every breach that must be caught can be planted: its place is in the sources', () => {
  for (const breach of breaches) assert.match(plantedEnv(breach)['NODE_OPTIONS']!, /plant/)
  assert.deepEqual(
    breaches.map(({ rule }) => rule),
    [1, 7, 8, 9, 16, 19, 20, 22, 23, 31],
  )
})

/** The counts of a run that reaches the quick floors. */
function enough(): Counts {
  return {
    reads: { eventual: 500, session: 500, monotonic: 500, strict: 500 },
    readsByKind: {},
    readsByTier: {},
    readsByServer: {},
    readsByClone: { 'clone-1': 1000, 'clone-2': 1000 },
    failed: {},
    misses: {},
    writes: Object.fromEntries(kindsOfWrites.map((kind) => [kind, 10])),
    rolledBack: 1,
    unknown: 1,
    faults: { 'SIGKILL to the tracker': [1], 'SIGKILL to a clone': [1], 'SIGKILL to Redis': [1] },
    calmSession: { reads: 100, onReplicas: 90 },
    calmTiers: { 'one: memory': { lookUps: 100, hits: 90 } },
    slowestReadMs: 10,
  }
}
