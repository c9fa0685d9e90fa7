/** What a supervisor that was killed at a bad moment leaves, and the next `fourfold start` cleans up. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { suite, test, type TestContext } from 'node:test'

import { readSystemNote, readWrittenNote, type SystemNote } from '../../src/app/system-file.ts'
import { isRunning } from '../../src/core/process-mark.ts'
import { endProcessesIn, processesIn } from '../../src/engines/postgres/embedded/leftovers.ts'
import { connectStore } from '../../src/store/connect.ts'
import { freeze } from '../support/freeze.ts'
import { endAfter, makeDirectory } from '../support/postgres.ts'
import { beginStart, notes, nothingLeft, startCommand, type Started } from '../support/start-command.ts'
import { waitFor } from '../support/wait-for.ts'

interface Killed {
  readonly port: number
  readonly note: SystemNote
  readonly databaseServers: readonly number[]
}

/** Freezes a clone, the balancer, the store and every process of the primary, and kills their supervisor. */
async function freezeAndKill(t: TestContext, data: string, { child, url }: Started): Promise<Killed> {
  const note = await readSystemNote(data)
  assert.ok(note !== null)
  const primary = join(data, 'databases/main/servers/primary')
  const databaseServers = await processesIn(primary)
  assert.ok(databaseServers.length > 3)
  const frozen = note.processes.filter(({ name }) => /^(clone-1|balancer|store)/.test(name)).map(({ pid }) => pid)
  assert.equal(frozen.length, 3)
  // Before the directory goes, by which the servers are known.
  endAfter(t, async () => {
    for (const { pid, mark } of note.processes) if (isRunning(pid, mark)) process.kill(pid, 'SIGKILL')
    await endProcessesIn(primary)
  })
  freeze([...frozen, ...databaseServers])
  child.kill('SIGKILL')
  await once(child, 'exit')
  const others = note.processes.filter(({ pid }) => !frozen.includes(pid))
  await waitFor('those that are not frozen to go', () => !others.some(({ pid, mark }) => isRunning(pid, mark)))
  assert.equal(note.processes.filter(({ pid, mark }) => isRunning(pid, mark)).length, 3, 'the frozen ones stay')
  return { port: Number(new URL(url).port), note, databaseServers }
}

/** Kills a clone, so that the file has to hold the one that the supervisor starts in its place. */
async function replaceClone(data: string): Promise<void> {
  const find = async (id: string): Promise<number | undefined> =>
    (await readSystemNote(data))?.processes.find(({ name }) => name === id)?.pid
  process.kill((await find('clone-1.1')) ?? Number.NaN, 'SIGKILL')
  await waitFor('its successor to be noted', () => find('clone-1.2'))
  assert.equal(await find('clone-1.1'), undefined)
}

/** Kills the balancer; where any free port was asked for, the next one takes the same. */
async function replaceBalancer(url: string, data: string): Promise<void> {
  const balancer = (await readSystemNote(data))?.processes.find(({ name }) => name === 'balancer-1.1')
  process.kill(balancer?.pid ?? Number.NaN, 'SIGKILL')
  await waitFor('the next balancer', () =>
    fetch(`${url}/notes`).then(
      ({ status }) => status === 200,
      () => false,
    ),
  )
}

async function writeSomething(url: string, data: string): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const made = await fetch(`${url}/notes`, { method: 'POST', headers, body: '{"id":"1","text":"this"}' })
  assert.equal(made.status, 200)
  const store = await connectStore({ url: (await readSystemNote(data))?.connections.storeUrl ?? '' })
  await store.create('kept', { word: Buffer.from('this') }, { ttlMs: 600_000 })
  await store.close()
}

async function findSomething(url: string, data: string): Promise<void> {
  assert.deepEqual(await (await fetch(`${url}/notes`)).json(), [{ id: '1', text: 'this' }])
  const store = await connectStore({ url: (await readSystemNote(data))?.connections.storeUrl ?? '' })
  const kept = await store.read('kept')
  await store.close()
  assert.deepEqual(Buffer.from(kept?.['word'] ?? []).toString(), 'this')
}

suite('the start after a SIGKILL', () => {
  test('ends what was frozen, serves on the same port, and has lost nothing', async (t) => {
    const data = await makeDirectory(t)
    const first = await startCommand(t, { app: notes, data })
    await writeSomething(first.url, data)
    await replaceClone(data)
    await replaceBalancer(first.url, data)
    const { port, note, databaseServers } = await freezeAndKill(t, data, first)
    const second = await startCommand(t, { app: notes, data, port })
    await findSomething(second.url, data)
    for (const { name, pid, mark } of note.processes) assert.equal(isRunning(pid, mark), false, `${name} is gone`)
    const now = await processesIn(join(data, 'databases/main/servers/primary'))
    assert.deepEqual(
      now.filter((pid) => databaseServers.includes(pid)),
      [],
    )
    second.child.kill('SIGINT')
    await once(second.child, 'exit')
    await nothingLeft(data)
  })

  test('serves also when the first start was killed while its clones began, and one of them was frozen', async (t) => {
    const data = await makeDirectory(t)
    const { child } = beginStart(t, { app: notes, data })
    const clone = await waitFor(
      'a clone to be spawned',
      async () => (await readWrittenNote(data))?.processes.find(({ name }) => name === 'clone-1.1'),
      60_000,
    )
    process.kill(clone.pid, 'SIGSTOP')
    child.kill('SIGKILL')
    await once(child, 'exit')
    const { url, child: next } = await startCommand(t, { app: notes, data })
    assert.equal((await fetch(`${url}/notes`)).status, 200)
    assert.equal(isRunning(clone.pid, clone.mark), false)
    next.kill('SIGTERM')
    await once(next, 'exit')
    await nothingLeft(data)
  })

  test('planted: without the note of what ran, the frozen balancer keeps the port', async (t) => {
    const data = await makeDirectory(t)
    const { port } = await freezeAndKill(t, data, await startCommand(t, { app: notes, data }))
    await rm(join(data, 'system.json'))
    await assert.rejects(startCommand(t, { app: notes, data, port }), /FF_CLONES_START.*in use|FF_BALANCER_LISTEN/s)
  })
})
