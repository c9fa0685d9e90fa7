import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Effect } from '../../src/store/memory/effects.ts'
import type { Operation } from '../../src/store/memory/operations.ts'
import type { RegistryAnswer } from '../../src/store/memory/registry.ts'
import { StoreState } from '../../src/store/memory/state.ts'

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f')
const name = fc.constantFrom('x', 'y', 'z')
const bytes = fc.uint8Array({ maxLength: 3 })
const ttl = fc.integer({ min: 1, max: 50 })
const pair = fc.tuple(name, bytes)

/** Stands for the fence that the entry has when its turn comes. */
const currentFence = fc.constant(-1)

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.tuple(fc.constant('create' as const), key, fc.array(pair, { maxLength: 3 }), ttl),
  fc.tuple(
    fc.constant('update' as const),
    key,
    fc.array(pair, { maxLength: 2 }),
    fc.array(name, { maxLength: 2 }),
    fc.array(fc.tuple(name, fc.option(bytes)), { maxLength: 1 }),
    fc.option(ttl),
  ),
  fc.tuple(fc.constant('delete' as const), key),
  fc.tuple(fc.constant('raiseToken' as const), key, name, fc.nat(20), ttl),
  fc.tuple(fc.constant('replaceToken' as const), key, fc.constant([['x', 1] as const]), name, fc.nat(20), ttl),
  fc.tuple(fc.constant('acquireLease' as const), key, name, ttl),
  fc.tuple(fc.constant('releaseLease' as const), key, name, fc.nat(10)),
  fc.tuple(fc.constant('register' as const), key, name, bytes, ttl),
  fc.tuple(fc.constant('renewRegistration' as const), key, name, currentFence, ttl, fc.option(bytes)),
  fc.tuple(fc.constant('withdraw' as const), key, name, currentFence),
  fc.tuple(fc.constant('appendToStream' as const), key, bytes, fc.integer({ min: 1, max: 3 }), ttl),
  fc.tuple(fc.constant('spend' as const), key, fc.integer({ min: 0, max: 10 }), fc.constant(20)),
)
/** An operation, with the time that passes before it. */
const step = fc.tuple(fc.nat(10), operation)

function run(state: StoreState, operation: Operation): void {
  if (operation[0] !== 'renewRegistration' && operation[0] !== 'withdraw') return void state.execute(operation)
  const [, group, id] = operation
  const [, entries] = state.execute(['readRegistry', group, null]) as RegistryAnswer
  const fence = entries.find(([each]) => each === id)?.[1] ?? -1
  if (operation[0] === 'withdraw') state.execute(['withdraw', group, id, fence])
  else state.execute(['renewRegistration', group, id, fence, operation[4], operation[5]])
}

/** What a state answers to everything that can be asked of it; leases by trying to take them, so this comes last. */
function observe(state: StoreState): unknown {
  const keys = ['a', 'b', 'c', 'd', 'e', 'f']
  return keys.map((each) => [
    (state.execute(['read', each]) as unknown[] | null)?.toSorted(),
    (state.execute(['readToken', each]) as unknown[] | null)?.toSorted(),
    (state.execute(['readRegistry', each, null]) as RegistryAnswer)[0],
    (state.execute(['readRegistry', each, null]) as RegistryAnswer)[1].toSorted(([a], [b]) => (a < b ? -1 : 1)),
    state.execute(['readStream', each, 0, 10]),
    state.execute(['spend', each, 0, 20]),
    state.execute(['acquireLease', each, 'somebody else', 1]),
  ])
}

function replayed(effects: readonly Effect[], now: number): StoreState {
  const state = new StoreState({ now: () => now, emit: () => undefined })
  for (const effect of effects) state.replay(effect)
  return state
}

test('a log replayed gives the state that wrote it, with every fence', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = 1000
      const effects: Effect[] = []
      const state = new StoreState({ now: () => now, emit: (effect) => effects.push(effect) })
      for (const [passed, each] of steps) {
        now += passed
        run(state, each)
      }
      const again = replayed(effects.slice(), now)
      assert.deepEqual(observe(again), observe(state))
    }),
  )
})

test('a snapshot drawn in portions between operations, with their effects behind each portion, gives the same state', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 30 }),
      fc.array(fc.tuple(step, fc.nat(2)), { maxLength: 60 }),
      (before, during) => {
        let now = 1000
        let compacted: Effect[] | null = null
        const state = new StoreState({ now: () => now, emit: (effect) => compacted?.push(effect) })
        const take = ([passed, each]: readonly [number, Operation]): void => {
          now += passed
          run(state, each)
          state.sweep(2)
        }
        before.forEach(take)
        const target: Effect[] = []
        compacted = target
        const snapshot = state.snapshot()
        const draw = (count: number): void => {
          for (let drawn = 0; drawn < count; drawn += 1) {
            const next = snapshot.next()
            if (next.done === true) return
            target.push(next.value)
          }
        }
        // The file gets its first portion before anything else happens.
        draw(1)
        for (const [each, portion] of during) {
          take(each)
          draw(portion)
        }
        draw(Number.POSITIVE_INFINITY)
        const again = replayed(target.slice(), now)
        assert.deepEqual(observe(again), observe(state))
      },
    ),
  )
})

test('what has expired stays expired when the wall clock is set back', () => {
  let now = 1000
  const state = new StoreState({ now: () => now, emit: () => undefined })
  state.execute(['create', 'k', [], 10])
  now = 1010
  assert.equal(state.execute(['read', 'k']), null)
  now = 900
  assert.equal(state.execute(['read', 'k']), null)
})

test('sweeping frees what has expired and nothing else', () => {
  let now = 1000
  const state = new StoreState({ now: () => now, emit: () => undefined })
  for (let n = 0; n < 100; n += 1) state.execute(['create', `k${n}`, [], n < 50 ? 10 : 1000])
  now = 1500
  for (let turn = 0; turn < 20; turn += 1) state.sweep(10)
  assert.equal([...state.snapshot()].filter(([kind]) => kind === 'record').length, 50)
  assert.equal((state.execute(['list', 'k', 1000]) as string[]).length, 50)
})

test('fences go on rising in an empty store when the clock is ahead of the last one', () => {
  const fences = [1000, 2000].map((now) =>
    new StoreState({ now: () => now, emit: () => undefined }).execute(['acquireLease', 'k', 'h', 5]),
  )
  assert.ok((fences[1] as number) > (fences[0] as number))
})
