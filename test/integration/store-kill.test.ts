/**
 * What the embedded store acknowledged survives SIGKILL of its process at any moment: while it writes, while it
 * compacts its log, while it starts.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import type { Store } from '../../src/store/store.ts'
import { until } from '../../src/testing/index.ts'
import { forkStore, startStoreProcess, type StoreProcess } from '../support/store-process.ts'

const hourMs = 3_600_000
const rounds = 8

/** A client that writes rising numbers under its own key, and what the answers allow to conclude. */
interface Writer {
  readonly key: string
  readonly store: Store
  /** The greatest number that was sent. */
  sent: number
  /** The greatest number whose write was acknowledged. */
  field: number
  token: number
  fence: number
}

async function write(writer: Writer, signal: AbortSignal): Promise<void> {
  const padding = Buffer.alloc(2000, writer.key)
  while (!signal.aborted) {
    const number = (writer.sent += 1)
    const { key, store } = writer
    const results = await Promise.allSettled([
      store.update(key, { set: { number: Buffer.from(String(number)), padding } }).then((result) => {
        assert.equal(result, 'updated')
        writer.field = number
      }),
      store.raiseToken(key, 'epoch', number, hourMs).then(() => (writer.token = number)),
      store.acquireLease(key, `holder ${number}`, 20).then((lease) => {
        if (lease === null) return undefined
        assert.ok(lease.fence > writer.fence, 'fences rise')
        writer.fence = lease.fence
        return store.releaseLease(lease)
      }),
    ])
    const reasons = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []))
    for (const reason of reasons) if (reason instanceof assert.AssertionError) throw reason
    // The store is away; without a pause this loop would only spin.
    if (reasons.length > 0) await pause(1)
  }
}

async function assertKept({ key, store, sent, field, token }: Writer): Promise<void> {
  const [fields, held] = await Promise.all([store.read(key), store.readToken(key)])
  const number = Number(Buffer.from(fields?.['number'] ?? []).toString())
  assert.ok(number >= field && number <= sent, `${key} holds ${number}, ${field} was acknowledged, ${sent} was sent`)
  const lsn = held?.parts['epoch'] ?? 0
  assert.ok(
    lsn >= token && lsn <= sent,
    `the token of ${key} holds ${lsn}, ${token} was acknowledged, ${sent} was sent`,
  )
}

/** Starts it and kills it at a random moment of its start. */
async function killWhileStarting(server: StoreProcess): Promise<void> {
  const child = forkStore(server.settings)
  await pause(Math.random() * 250)
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

interface Run {
  readonly server: StoreProcess
  readonly writers: readonly Writer[]
}

/** A server and its writers, each on a client and a record of its own. */
async function startRun(t: TestContext, server: StoreProcess): Promise<Run> {
  const stores = await Promise.all(['a', 'b', 'c'].map(() => server.connect({ deadlineMs: 1000 })))
  t.after(async () => {
    await Promise.all(stores.map((store) => store.close()))
    await server.stop()
  })
  const writers = stores.map((store, n): Writer => ({ key: `key ${n}`, store, sent: 0, field: 0, token: 0, fence: 0 }))
  for (const { key, store } of writers) await store.create(key, { number: Buffer.from('0') }, { ttlMs: hourMs })
  return { server, writers }
}

/**
 * Lets the writers write, kills the server at a random moment, starts it again and looks. A successor that is started
 * beforehand waits for the log, which saves the time that a process takes to begin.
 */
async function killOnce({ server, writers }: Run, options: { readonly whileStarting: boolean }): Promise<void> {
  const ended = new AbortController()
  const writing = Promise.all(writers.map((writer) => write(writer, ended.signal)))
  // A writer may find a loss before it is awaited below.
  writing.catch(() => undefined)
  const moment = pause(Math.random() * 150)
  if (options.whileStarting) {
    await moment
    await server.kill()
    await killWhileStarting(server)
    await server.start()
  } else {
    await server.succeedAt(moment)
  }
  ended.abort()
  await writing
  await until('the clients are connected again', () => Promise.all(writers.map(({ store }) => store.ping())))
  await Promise.all(writers.map(assertKept))
}

test('everything acknowledged is there after SIGKILLs at random moments, with the log compacted all the time', async (t) => {
  const run = await startRun(t, await startStoreProcess({ compactBytes: 20_000 }))
  const { store } = run.writers[0]!
  await store.create('deleted', {}, { ttlMs: hourMs })
  await Promise.all([store.delete('deleted'), store.raiseToken('kept', 'epoch', 7, hourMs)])
  const incarnation = await store.incarnation()

  for (let round = 0; round < rounds; round += 1) await killOnce(run, { whileStarting: round % 4 === 3 })

  const acknowledged = run.writers.reduce((sum, { field }) => sum + field, 0)
  assert.ok(acknowledged > 100, `writes reached number ${acknowledged} together, too few to prove anything`)
  assert.equal(await store.incarnation(), incarnation)
  assert.deepEqual(await store.readToken('kept'), { parts: { epoch: 7 } })
  assert.equal(await store.read('deleted'), null)
})

test('planted: a server that writes its log after it answered is caught', async (t) => {
  const preload = new URL('../support/late-log-writes.ts', import.meta.url)
  const run = await startRun(t, await startStoreProcess({ preload }))
  const loss = async (): Promise<void> => {
    for (let round = 0; round < rounds; round += 1) await killOnce(run, { whileStarting: false })
  }
  await assert.rejects(loss(), { code: 'ERR_ASSERTION' })
})

test('a client that is killed takes nothing with it that was acknowledged to it', async (t) => {
  const server = await startStoreProcess()
  t.after(() => server.stop())
  const client = server.forkWriter('key')
  const answers = client.stdout!
  answers.setEncoding('utf8')
  let acknowledged = 0
  answers.on('data', (lines: string) => (acknowledged = Math.max(acknowledged, ...lines.split('\n').map(Number))))
  await until('the client has written', () => acknowledged > 50)
  client.kill('SIGKILL')
  await once(client, 'close')
  await server.restart()
  const store = await server.connect({ deadlineMs: 1000 })
  t.after(() => store.close())
  const token = await until('the store answers', () => store.readToken('key'))
  assert.ok((token.parts['epoch'] ?? 0) >= acknowledged)
})
