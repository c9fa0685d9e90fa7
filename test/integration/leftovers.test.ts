/** A start ends what a killed system left, and nobody else. */

import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { endLeftovers } from '../../src/app/leftovers.ts'
import { createSystemFile, readSystemNote, readWrittenNote } from '../../src/app/system-file.ts'
import { silentLogger } from '../../src/core/log.ts'
import { markOf } from '../../src/core/process-mark.ts'
import { makeDirectory } from '../support/postgres.ts'
import { waitFor } from '../support/wait-for.ts'

/** A process of ours that stands for one of a system. It is known to run before this resolves. */
async function startProcess(t: TestContext, script = 'echo; exec sleep 60'): Promise<ChildProcess & { pid: number }> {
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child as typeof child & { pid: number }
}

const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null

/** What a supervisor that was killed would have left in the file. */
async function leaveNote(data: string, processes: readonly object[]): Promise<void> {
  await writeFile(join(data, 'system.json'), JSON.stringify({ pid: 1, mark: 'gone', since: '', processes }))
}

test('frozen processes and those that do not heed SIGTERM are ended', async (t) => {
  const data = await makeDirectory(t)
  const frozen = await startProcess(t)
  const deaf = await startProcess(t, `trap '' TERM; echo; exec sleep 60`)
  const file = createSystemFile(data, silentLogger)
  file.add('clone-1.1', frozen.pid)
  file.add('balancer-1.1', deaf.pid)
  frozen.kill('SIGSTOP')
  await endLeftovers(data, silentLogger)
  assert.deepEqual([frozen, deaf].map(hasEnded), [false, false], 'their supervisor, which is this process, lives')
  await leaveNote(data, (await readWrittenNote(data))?.processes ?? [])
  await endLeftovers(data, silentLogger)
  await waitFor('both to end', () => hasEnded(frozen) && hasEnded(deaf))
  assert.equal(frozen.signalCode, 'SIGTERM')
  assert.equal(deaf.signalCode, 'SIGKILL')
})

test('a number that belongs to another process by now is left alone', async (t) => {
  const data = await makeDirectory(t)
  const ours = await startProcess(t)
  const mark = markOf(ours.pid) ?? ''
  const others = await Promise.all(Array.from({ length: 4 }, () => startProcess(t)))
  const [laterStart, otherBoot, noMark, frozen] = others.map(({ pid }) => pid)
  const startedAt = Number(mark.split(' ').at(-1))
  others[3]?.kill('SIGSTOP')
  await leaveNote(data, [
    { name: 'clone-1.1', pid: laterStart, mark: mark.replace(/\d+$/, String(startedAt - 1)) },
    { name: 'clone-2.1', pid: otherBoot, mark: markOf(otherBoot ?? 0)?.replace(/^\S+/, 'another-boot') },
    { name: 'clone-3.1', pid: noMark, mark: null },
    { name: 'clone-4.1', pid: frozen, mark },
    { name: 'store-1.1', pid: -1, mark: null },
    { name: 'balancer-1.1', pid: process.pid, mark: markOf(process.pid) },
    { name: 'clone-5.1', pid: ours.pid, mark },
  ])
  await endLeftovers(data, silentLogger)
  await waitFor('ours to end', () => hasEnded(ours))
  assert.deepEqual(others.map(hasEnded), [false, false, false, false])
})

test('a file that is missing, cut short or something else altogether is no reason to fail', async (t) => {
  const data = await makeDirectory(t)
  for (const text of ['', '{"pid": 12', 'null', '[]', '{"processes": 7}', '{"pid": 1, "processes": []}']) {
    await endLeftovers(data, silentLogger)
    await writeFile(join(data, 'system.json'), text)
    await endLeftovers(data, silentLogger)
    assert.equal(await readSystemNote(data), null)
  }
})

test('processes are in the file from their start to their end, and others find the system only while it serves', async (t) => {
  const data = await makeDirectory(t)
  const child = await startProcess(t)
  const file = createSystemFile(data, silentLogger)
  const names = async (): Promise<unknown> => (await readWrittenNote(data))?.processes.map(({ name }) => name)
  file.add('store-1.1', child.pid)
  file.add('clone-1.1', -1)
  assert.deepEqual(await names(), ['store-1.1'], 'what could not be spawned has no number')
  assert.equal(await readSystemNote(data), null)
  const connections = { databases: {}, storeUrl: 'unix:/nowhere' }
  file.publish({ url: 'http://127.0.0.1:1', connections })
  const note = await readSystemNote(data)
  assert.deepEqual([note?.pid, note?.url, note?.connections], [process.pid, 'http://127.0.0.1:1', connections])
  file.publish(null)
  assert.equal(await readSystemNote(data), null)
  file.drop('store-1.1')
  assert.deepEqual(await names(), [])
  file.remove()
  assert.equal(await readWrittenNote(data), null)
})
