import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CloneEntry } from '../../src/clones/hosts/entries.ts'
import { Roster, type ProbeOutcome } from '../../src/clones/hosts/roster.ts'

const ttlMs = 5000
const entry: CloneEntry = {
  address: { host: '10.0.0.2', port: 20_000 },
  buildId: 'b1',
  host: 'web',
  state: 'serving',
  graceMs: 1000,
}
const listed = (...ids: string[]): { id: string; entry: CloneEntry }[] => ids.map((id) => ({ id, entry }))
const healthOf = (roster: Roster, now: number): Record<string, boolean | undefined> =>
  Object.fromEntries(roster.upstreams(now).map(({ id, healthy }) => [id, healthy]))

test('a clone that is listed is used, and passed over while its probes are unanswered', () => {
  const roster = new Roster({ ttlMs })
  roster.list(listed('one', 'two'), 0)
  assert.deepEqual(healthOf(roster, 0), { one: true, two: true })
  roster.probed('one', 'silent', 100)
  assert.deepEqual(healthOf(roster, 100), { one: false, two: true })
  roster.probed('one', 'alive', 200)
  assert.deepEqual(healthOf(roster, 200), { one: true, two: true })
})

test('a clone that left in order is gone as soon as it is no longer listed', () => {
  const roster = new Roster({ ttlMs })
  roster.list(listed('one'), 0)
  roster.list([{ id: 'one', entry: { ...entry, state: 'draining' } }], 100)
  assert.deepEqual(roster.draining(), [{ id: 'one', graceMs: 1000 }])
  assert.deepEqual(roster.forget(200), [])
  roster.list([], 300)
  assert.deepEqual(roster.forget(300), ['one'])
})

test('a clone that was asked to leave never comes back under its id', () => {
  const roster = new Roster({ ttlMs })
  roster.list([{ id: 'one', entry: { ...entry, state: 'draining' } }], 0)
  roster.list(listed('one'), 100)
  assert.equal(roster.draining().length, 1)
})

test('a store that came back empty makes no clone unhealthy that registers again in time, nor one that answers unused', () => {
  const roster = new Roster({ ttlMs })
  roster.list(listed('one', 'two'), 0)
  roster.list([], 1000)
  assert.deepEqual(healthOf(roster, 1000), { one: true, two: true })
  roster.list(listed('one'), 2500)
  roster.probed('two', 'alive', 7000)
  assert.deepEqual(roster.forget(7000), [])
  assert.deepEqual(healthOf(roster, 7000), { one: true, two: false })
})

test('a clone that is no longer listed is gone when its place is empty or taken, or when it is silent for long', () => {
  for (const outcome of ['refused', 'foreign'] as const) {
    const roster = new Roster({ ttlMs })
    roster.list(listed('one'), 0)
    roster.probed('one', outcome, 100)
    assert.deepEqual(roster.forget(100), [], 'it is listed')
    roster.list([], 200)
    assert.deepEqual(roster.forget(200), ['one'])
  }
  const roster = new Roster({ ttlMs, forgetMs: 10_000 })
  roster.list(listed('one'), 0)
  roster.probed('one', 'silent', 100)
  roster.list([], 200)
  assert.deepEqual(roster.forget(9000), [])
  assert.deepEqual(roster.forget(10_100), ['one'])
})

test('without the store nobody is given up, however long a clone is silent', () => {
  const roster = new Roster({ ttlMs })
  roster.list(listed('one'), 0)
  roster.probed('one', 'silent', 100)
  assert.deepEqual(roster.forget(3_600_000), [])
  assert.deepEqual(healthOf(roster, 3_600_000), { one: false })
})

type Step =
  | { readonly type: 'list'; readonly ids: readonly string[] }
  | { readonly type: 'probe'; readonly id: string; readonly outcome: ProbeOutcome }
  | { readonly type: 'wait'; readonly ms: number }

const id = fc.constantFrom('one', 'two', 'three')
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ type: fc.constant('list' as const), ids: fc.uniqueArray(id) }),
  fc.record({
    type: fc.constant('probe' as const),
    id,
    outcome: fc.constantFrom<ProbeOutcome>('alive', 'silent', 'refused', 'foreign'),
  }),
  fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 12_000 }) }),
)

test('whatever happens, a listed clone is known, and one that answered last is not given up', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const roster = new Roster({ ttlMs })
      const last = new Map<string, ProbeOutcome>()
      let now = 0
      let present: readonly string[] = []
      for (const one of steps) {
        const before = new Set(roster.upstreams(now).map((upstream) => upstream.id))
        if (one.type === 'wait') now += one.ms
        if (one.type === 'list') roster.list(listed(...(present = one.ids)), now)
        if (one.type === 'probe' && before.has(one.id)) {
          roster.probed(one.id, one.outcome, now)
          last.set(one.id, one.outcome)
        }
        for (const gone of roster.forget(now)) {
          assert.ok(!present.includes(gone), `${gone} is listed`)
          assert.notEqual(last.get(gone), 'alive', `${gone} answered last`)
          assert.notEqual(last.get(gone), undefined, `${gone} was never asked`)
          last.delete(gone)
        }
        const known = roster.upstreams(now)
        for (const listedId of present) assert.ok(known.some((upstream) => upstream.id === listedId))
        for (const upstream of known) {
          if (last.get(upstream.id) === 'silent') assert.equal(upstream.healthy, false)
        }
      }
    }),
    { numRuns: 500 },
  )
})
