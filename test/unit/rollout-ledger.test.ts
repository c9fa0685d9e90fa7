import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { beginWith, type LedgerRecord } from '../../src/clones/rollout/ledger.ts'
import { between, objection } from '../../src/clones/rollout/watch.ts'

const record = (more: Partial<LedgerRecord>): LedgerRecord => ({
  admission: { current: { id: 'a', ordinal: 4 }, share: 0 },
  stopped: false,
  takenBack: null,
  ...more,
})
const rolling = (share: number): LedgerRecord['admission'] => ({
  current: { id: 'a', ordinal: 4 },
  next: { id: 'b', ordinal: 5 },
  share,
})

test('the first start begins to count', () => {
  assert.deepEqual(beginWith(null, 'x').admission, { current: { id: 'x', ordinal: 1 }, share: 0 })
})

test('the same files are the same build, after a stop and after a crash', () => {
  for (const stopped of [true, false]) {
    assert.deepEqual(beginWith(record({ stopped }), 'a').admission.current, { id: 'a', ordinal: 4 })
  }
})

test('other files are a newer build, after a stop and after a crash', () => {
  for (const stopped of [true, false]) {
    assert.deepEqual(beginWith(record({ stopped }), 'c').admission.current, { id: 'c', ordinal: 5 })
  }
})

test('a supervisor that died in the middle of a rollout goes back, above what readers may have seen', () => {
  const begun = beginWith(record({ admission: rolling(0.5) }), 'b')
  assert.deepEqual(begun.admission, { current: { id: 'a', ordinal: 6 }, share: 0 })
  assert.equal(begun.takenBack, 'b')
  assert.match(String(begun.because), /died while it was rolled out/)
})

test('a build that was taken back is not brought by a crash, but by a start after a stop', () => {
  const takenBack = { takenBack: 'b' }
  assert.equal(beginWith(record(takenBack), 'b').admission.current.id, 'a')
  assert.deepEqual(beginWith(record({ ...takenBack, stopped: true }), 'b').admission.current, { id: 'b', ordinal: 5 })
})

test('whatever happened, a start goes to no ordinal below one that a reader may have seen', () => {
  const build = fc.constantFrom('a', 'b', 'c')
  const share = fc.constantFrom(0, 0.1, 1)
  fc.assert(
    fc.property(
      build,
      build,
      fc.option(build),
      fc.boolean(),
      fc.nat(20),
      share,
      (id, files, next, stopped, ordinal, at) => {
        const admission = {
          current: { id, ordinal },
          ...(next === null ? {} : { next: { id: next, ordinal: ordinal + 1 } }),
          share: next === null ? 0 : at,
        }
        const begun = beginWith({ admission, stopped, takenBack: null }, files)
        assert.ok(begun.admission.current.ordinal >= ordinal + (next === null ? 0 : 1))
        assert.equal(begun.admission.next, undefined)
        // One ordinal never means two builds.
        if (begun.admission.current.ordinal === ordinal) assert.equal(begun.admission.current.id, id)
        // With several crashes in a row it stays where it is.
        const again = beginWith({ ...begun, stopped: false }, files)
        assert.deepEqual(again.admission, begun.admission)
      },
    ),
  )
})

test('a share of errors counts from enough requests on, and beside the old build’s', () => {
  const tolerance = { maxErrorRate: 0.05, leastRequests: 20 }
  assert.equal(objection({ requests: 100, errors: 0 }, { requests: 19, errors: 19 }, tolerance), null)
  assert.match(String(objection({ requests: 100, errors: 0 }, { requests: 20, errors: 2 }, tolerance)), /2 of its 20/)
  assert.equal(objection({ requests: 100, errors: 50 }, { requests: 20, errors: 11 }, tolerance), null)
  assert.equal(objection({ requests: 0, errors: 0 }, { requests: 40, errors: 2 }, tolerance), null)
})

test('a balancer that has forgotten what it saw is counted from nothing', () => {
  const before = { a: { requests: 100, errors: 3 } }
  assert.deepEqual(between(before, { a: { requests: 130, errors: 4 } }, 'a'), { requests: 30, errors: 1 })
  assert.deepEqual(between(before, { a: { requests: 5, errors: 0 } }, 'a'), { requests: 5, errors: 0 })
  assert.deepEqual(between({}, before, 'a'), { requests: 100, errors: 3 })
})
