/** A process number from a file is believed only as far as the mark beside it. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'

import { isRunning, markByPs, markOf } from '../../src/core/process-mark.ts'

test('a process keeps its mark while it runs and has none when it ended', async (t) => {
  const child = spawn('sleep', ['60'])
  t.after(() => child.kill('SIGKILL'))
  const pid = child.pid ?? 0
  const mark = markOf(pid)
  assert.ok(mark !== null)
  child.kill('SIGSTOP')
  assert.equal(markOf(pid), mark, 'also while it is frozen')
  assert.equal(isRunning(pid, mark), true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal(markOf(pid), null)
  assert.equal(isRunning(pid, mark), false)
})

test('the mark of one process is not that of another, and no mark is nobody’s', async (t) => {
  const child = spawn('sleep', ['60'])
  t.after(() => child.kill('SIGKILL'))
  assert.notEqual(markOf(child.pid ?? 0), markOf(process.pid))
  assert.equal(isRunning(process.pid, null), false)
  assert.equal(isRunning(process.pid, undefined), false)
  for (const pid of [0, -1, 1.5, Number.NaN, 2 ** 40]) assert.equal(markOf(pid), null)
})

test('where there is no /proc, start time and command line tell processes apart', async (t) => {
  const child = spawn('sleep', ['61'])
  t.after(() => child.kill('SIGKILL'))
  assert.match(markByPs(child.pid ?? 0) ?? '', /^\w+ \w+ +\d+ \d\d:\d\d:\d\d \d{4} sleep 61$/)
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.equal(markByPs(child.pid ?? 0), null)
})
