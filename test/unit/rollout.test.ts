/** One rollout step by step, with clones and balancers that do what the test says. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runRelease } from '../../src/app/run-release.ts'
import { rollOut, type RolloutParts, type RolloutPlan } from '../../src/clones/rollout/rollout.ts'
import { guardStaged } from '../../src/clones/rollout/watch.ts'

import type { ReleaseSettings } from '../../src/app/processes/release.ts'
import type { Admission } from '../../src/clones/protocol.ts'
import type { MemberState } from '../../src/clones/slot.ts'
import type { Supervisor, SupervisorEvent } from '../../src/clones/supervisor.ts'

type Listener = (event: SupervisorEvent) => void

/** A supervisor of two generations, and the events it is told to give. */
function scene() {
  const listeners = new Set<Listener>()
  const done: string[] = []
  const supervisor = {
    subscribe: (listener: Listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    stage: async () => void done.push('stage'),
    staged: () => [],
    promote: async () => void done.push('promote'),
    discard: async () => void done.push('discard'),
  } as unknown as Supervisor
  const become = (state: MemberState): void => {
    const event = { type: 'state', member: { id: 'clone-2.2', kind: 'clone', buildId: 'new', state } }
    for (const listener of listeners) listener(event as SupervisorEvent)
  }
  return { supervisor, done, become, listeners }
}

test('a clone of the new build that is told to stop is no sign against it; one that ends by itself is', () => {
  for (const [states, aborts] of [
    [['ready', 'stopping', 'exited'], false],
    [['ready', 'exited'], true],
    [['ready', 'unresponsive'], true],
    [['ready', 'unresponsive', 'stopping', 'exited'], true],
  ] as const) {
    const { supervisor, become, listeners } = scene()
    const trouble = new AbortController()
    const stop = guardStaged(supervisor, 'clone', 'new', trouble)
    for (const state of states) become(state)
    assert.equal(trouble.signal.aborted, aborts, states.join(', '))
    stop()
    assert.equal(listeners.size, 0)
  }
})

test('a step that cannot be written down leads back, the last one too', async () => {
  for (const failing of [1, 2, 3]) {
    const { supervisor, done, listeners } = scene()
    let admission: Admission = { current: { id: 'old', ordinal: 1 }, share: 0 }
    let steps = 0
    const parts: RolloutParts = {
      supervisor,
      routes: {
        get admission() {
          return admission
        },
        admit: async (changed) => void (admission = changed),
        count: async () => ({}),
        quarantined: () => [],
        close: () => undefined,
      },
      record: () => {
        steps += 1
        if (steps === failing) throw new Error('the disc is full')
      },
      expand: async () => undefined,
      contract: async () => void done.push('contract'),
      check: async () => undefined,
      say: () => undefined,
    }
    const plan: RolloutPlan = {
      group: { kind: 'clone', buildId: 'new', spec: () => ({ entry: new URL('file:///none') }) },
      shares: [1],
      holdMs: 1,
      tolerance: { maxErrorRate: 0, leastRequests: 1 },
    }
    await assert.rejects(rollOut(parts, plan, new AbortController().signal), /the disc is full/)
    assert.equal(done.at(-1), 'discard', `step ${failing}`)
    assert.ok(!done.includes('promote'))
    assert.equal(admission.current.id, 'old')
    assert.equal(admission.next, undefined)
    assert.equal(admission.current.ordinal, failing === 1 ? 1 : 3)
    assert.equal(listeners.size, 0)
  }
})

test('a rollout that was called off while its build was made starts no process for it', async () => {
  const settings = { phase: 'expand' } as ReleaseSettings
  const off = AbortSignal.abort(new Error('called off'))
  await assert.rejects(
    runRelease(settings, () => undefined, off),
    /called off/,
  )
})
