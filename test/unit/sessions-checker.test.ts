/** The checker of session histories finds what it must, in histories made by hand. */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Checker, type Findings } from '../verify/sessions-checker.ts'
import { missedFloors } from '../verify/sessions/floors.ts'

import type { HistoryLine } from '../verify/sessions/history.ts'
import type { Level } from '../../src/freshness/level.ts'

type Step = Partial<HistoryLine> & Pick<HistoryLine, 'operation' | 'invoked' | 'returned' | 'value'>

function check(level: Level, steps: readonly Step[]): Findings {
  const checker = new Checker({ maxStalenessMs: 100 })
  const base = { session: 'a', level, key: 'k', clone: 'clone-1', server: 'primary', tier: 'database' } as const
  for (const step of steps) checker.add({ ...base, ...step })
  return checker.findings()
}

const wrote = (value: number, invoked: number, more: Partial<HistoryLine> = {}): Step => ({
  operation: 'write',
  value,
  invoked,
  returned: invoked + 5,
  ...more,
})
const read = (value: number, invoked: number, more: Partial<HistoryLine> = {}): Step => ({
  operation: 'read',
  value,
  invoked,
  returned: invoked + 5,
  ...more,
})

test('a read at session that misses a write of its own is a violation', () => {
  assert.equal(check('session', [wrote(1, 0), read(0, 10)]).violations.length, 1)
  assert.equal(check('session', [wrote(1, 0), read(1, 10)]).violations.length, 0)
})

test('a read at session may miss what others wrote, and what was acknowledged after it was sent', () => {
  assert.equal(check('session', [wrote(1, 0, { session: 'b' }), read(0, 10)]).violations.length, 0)
  assert.equal(check('session', [wrote(1, 0), read(0, 3)]).violations.length, 0)
})

test('a read at monotonic that shows less than an earlier one is a violation', () => {
  assert.equal(check('monotonic', [read(2, 0), read(1, 10)]).violations.length, 1)
})

test('a read at strict that misses anything acknowledged or shown before is a violation', () => {
  assert.equal(check('strict', [wrote(1, 0, { session: 'b' }), read(0, 10)]).violations.length, 1)
  assert.equal(check('strict', [read(2, 0, { session: 'b' }), read(1, 10)]).violations.length, 1)
})

test('a read at eventual may be as old as the bound and no older', () => {
  assert.equal(check('eventual', [wrote(1, 0), read(0, 90)]).violations.length, 0)
  assert.equal(check('eventual', [wrote(1, 0), read(0, 110)]).violations.length, 1)
})

test('an acknowledged write is lost when its version is given twice or is gone', () => {
  assert.equal(check('session', [wrote(1, 0), wrote(1, 10, { session: 'b' })]).lostWrites.length, 1)
  assert.equal(check('session', [wrote(2, 0), read(1, 10, { session: 'last', level: 'strict' })]).lostWrites.length, 1)
})

test('reads while a fault is on, and right after it, do not count for the floor', () => {
  const fault: Step = { operation: 'fault', value: null, invoked: 0, returned: 100, note: 'a fault' }
  const findings = check('session', [fault, read(0, 50), read(0, 500), read(0, 9_000, { server: 'replica-0' })])
  assert.deepEqual([findings.calmSessionReads, findings.calmSessionReplicaReads], [1, 1])
})

test('a run that used neither the endpoint nor several clones, or saw no faults, proves nothing', () => {
  const missed = missedFloors(check('session', [wrote(1, 0), read(1, 10)])).join('\n')
  for (const what of ['300 expected', 'endpoint', 'two clones', 'no fault of a supervisor']) {
    assert.ok(missed.includes(what), `expected "${what}" in:\n${missed}`)
  }
})

test('a run with reads of every kind and faults of every part reaches its floors', () => {
  const steps: Step[] = []
  for (let index = 0; index < 400; index += 1) {
    const clone = `clone-${1 + (index % 2)}.1`
    const server = `main.${index % 4 === 0 ? 'endpoint.' : ''}replica-${1 + (index % 8 < 4 ? 0 : 1)}`
    const at = index * 100
    steps.push(wrote(index + 1, at, { clone, session: `writer-${index}` }))
    for (const level of ['eventual', 'session', 'monotonic', 'strict'] as const) {
      steps.push(read(index + 1, at + 10, { clone, level, server, session: `reader-${level}` }))
    }
  }
  for (const note of ['a replica', 'a clone', 'the store', 'the supervisor', 'a backend']) {
    steps.push({ operation: 'fault', value: null, invoked: 50_000, returned: 50_100, note })
  }
  const findings = check('session', steps)
  assert.deepEqual([findings.violations.length, findings.lostWrites.length], [0, 0])
  assert.deepEqual(missedFloors(findings), [])
  assert.deepEqual(findings.readsByClone, { 'clone-1': 800, 'clone-2': 800 })
})

test('what failed is counted by how', () => {
  const notes = ['500 {}', '503 {}', '503 {}', 'Headers Timeout Error', 'connect ECONNREFUSED']
  const { failed } = check(
    'session',
    notes.map((note, at) => ({ operation: 'read', value: null, invoked: at, returned: at, note })),
  )
  assert.deepEqual(failed, { 500: 1, 503: 2, timeout: 1, connection: 1 })
})
