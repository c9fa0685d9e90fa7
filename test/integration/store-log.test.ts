/** What the embedded store makes of the log it finds, and who may have it. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { silentLogger, type Logger } from '../../src/core/log.ts'
import { connectStore } from '../../src/store/connect.ts'
import { encodeRecord } from '../../src/store/memory/records.ts'
import { startStoreServer, type StoreServer, type StoreServerOptions } from '../../src/store/memory/server.ts'
import type { Store } from '../../src/store/store.ts'
import { until } from '../../src/testing/index.ts'
import { forkStore, startStoreProcess } from '../support/store-process.ts'

const hourMs = 3_600_000

interface Place extends StoreServerOptions {
  readonly directory: string
  readonly lines: string[]
}

async function place(t: TestContext): Promise<Place> {
  const directory = await mkdtemp(join(tmpdir(), 'ff-store-'))
  t.after(() => rm(directory, { recursive: true, force: true }))
  const lines: string[] = []
  const note = (_fields: object, message: string): void => void lines.push(message)
  const log: Logger = { ...silentLogger, warn: note, error: note, info: note }
  const paths = { socketPath: join(directory, 's.sock'), logPath: join(directory, 'store.log') }
  return { directory, lines, log, guardWaitMs: 50, ...paths }
}

/** A server and a client of this process for as long as the work takes. */
async function serving<T>(at: Place, work: (store: Store, server: StoreServer) => Promise<T>): Promise<T> {
  const server = await startStoreServer(at)
  const store = await connectStore({ url: `unix:${at.socketPath}`, deadlineMs: 5000 })
  try {
    return await work(store, server)
  } finally {
    await store.close()
    await server.stop()
  }
}

test('a clean stop leaves the log and nothing else', async (t) => {
  const at = await place(t)
  const before = await serving(at, async (store) => {
    await store.raiseToken('k', 'e', 1, hourMs)
    return store.incarnation()
  })
  assert.deepEqual(await readdir(at.directory), ['store.log'])
  assert.equal((await stat(at.logPath)).mode & 0o077, 0)
  await serving(at, async (store) => {
    assert.equal(await store.incarnation(), before)
    assert.deepEqual(await store.readToken('k'), { parts: { e: 1 } })
  })
})

test('an unfinished record at the end is cut off with a line, and nothing else is lost', async (t) => {
  const at = await place(t)
  const before = await serving(at, async (store) => {
    await store.raiseToken('k', 'e', 1, hourMs)
    return store.incarnation()
  })
  const record = encodeRecord([['token', 'k', Date.now() + hourMs, [['e', 9]]]])
  const whole = (await stat(at.logPath)).size
  for (const length of [1, 11, 12, 20, record.length - 1]) {
    await appendFile(at.logPath, record.subarray(0, length))
    await serving(at, async (store) => {
      assert.deepEqual(await store.readToken('k'), { parts: { e: 1 } })
      assert.equal(await store.incarnation(), before)
    })
    assert.match(at.lines.splice(0).join(), /unfinished record/)
  }
  assert.ok((await stat(at.logPath)).size > whole)
})

test('a damaged log serves what is whole, under a new incarnation, and the rest is kept', async (t) => {
  const at = await place(t)
  const before = await serving(at, async (store) => {
    await store.raiseToken('k', 'e', 1, hourMs)
    return store.incarnation()
  })
  const whole = (await stat(at.logPath)).size
  await appendFile(at.logPath, encodeRecord([['token', 'k', Date.now() + hourMs, [['e', 9]]]]))
  const content = await readFile(at.logPath)
  content[whole + 14]! ^= 0xff
  await writeFile(at.logPath, content)
  await serving(at, async (store) => {
    assert.deepEqual(await store.readToken('k'), { parts: { e: 1 } })
    assert.notEqual(await store.incarnation(), before)
  })
  assert.match(at.lines.join(), /damaged/)
  assert.deepEqual(await readFile(`${at.logPath}.damaged`), content.subarray(whole))
})

test('a log that was not closed before the machine went down has a new incarnation', async (t) => {
  const at = await place(t)
  const records = [
    encodeRecord([
      ['incarnation', 'old', 1],
      ['opened', 'another boot'],
    ]),
    encodeRecord([['token', 'k', Date.now() + hourMs, [['e', 9]]]]),
  ]
  await writeFile(at.logPath, Buffer.concat(records))
  const later = await serving(at, async (store) => {
    assert.deepEqual(await store.readToken('k'), { parts: { e: 9 } })
    return store.incarnation()
  })
  assert.notEqual(later, 'old')
  await writeFile(at.logPath, Buffer.concat([...records, encodeRecord([['closed']])]))
  await serving(at, async (store) => assert.equal(await store.incarnation(), 'old'))
})

test('a lost log is another incarnation', async (t) => {
  const at = await place(t)
  const before = await serving(at, async (store) => store.incarnation())
  await rm(at.logPath)
  await serving(at, async (store) => assert.notEqual(await store.incarnation(), before))
})

test('a file that is no log, or of another format, is refused and left as it is', async (t) => {
  const at = await place(t)
  for (const content of [Buffer.from('this is a file of somebody else'), encodeRecord([['incarnation', 'x', 99]])]) {
    await writeFile(at.logPath, content)
    await assert.rejects(startStoreServer(at), { code: 'FF_STORE_LOG' })
    assert.deepEqual(await readFile(at.logPath), content)
  }
})

test('a half compacted log is forgotten at the next start', async (t) => {
  const at = await place(t)
  await serving(at, (store) => store.raiseToken('k', 'e', 1, hourMs))
  await writeFile(`${at.logPath}.next`, encodeRecord([['incarnation', 'x', 1]]))
  await serving(at, async (store) => assert.deepEqual(await store.readToken('k'), { parts: { e: 1 } }))
  assert.deepEqual(await readdir(at.directory), ['store.log'])
})

test('compaction keeps the log short, and every key, fence and incarnation', async (t) => {
  const at = { ...(await place(t)), compactBytes: 50_000 }
  const fence = await serving(at, async (store) => {
    await store.create('record', { a: Buffer.from('1') }, { ttlMs: hourMs })
    const lease = await store.acquireLease('lease', 'a', hourMs)
    await store.releaseLease(lease!)
    for (let round = 0; round < 40; round += 1) {
      const numbers = Array.from({ length: 200 }, (_, n) => n)
      await Promise.all(numbers.map((n) => store.raiseToken(`k${n % 10}`, 'e', round * 200 + n, hourMs)))
    }
    return lease!.fence
  })
  assert.ok(at.lines.some((line) => /compacted the log/.test(line)))
  assert.ok((await stat(at.logPath)).size < 200_000)
  await serving(at, async (store) => {
    assert.deepEqual(await store.readToken('k9'), { parts: { e: 7999 } })
    assert.equal(Buffer.from((await store.read('record'))!['a']!).toString(), '1')
    assert.ok((await store.acquireLease('lease', 'b', hourMs))!.fence > fence)
  })
})

test('a second server of the same log is refused and told who has it, in one process and in two', async (t) => {
  const at = await place(t)
  await serving(at, async () => {
    await assert.rejects(startStoreServer(at), {
      code: 'FF_STORE_LOCKED',
      fields: { path: at.logPath, pid: process.pid },
    })
    await assert.rejects(startStoreServer({ ...at, socketPath: `${at.socketPath}2` }), { code: 'FF_STORE_LOCKED' })
    await assert.rejects(startStoreServer({ ...at, logPath: `${at.logPath}2` }), { code: 'FF_STORE_LOCKED' })
    const child = forkStore({ socketPath: at.socketPath, logPath: at.logPath, logLevel: 'silent' })
    const [message] = (await once(child, 'message')) as [{ type: string; code: string }]
    assert.deepEqual([message.type, message.code], ['failed', 'FF_STORE_LOCKED'])
    if (child.exitCode === null) await once(child, 'exit')
  })
})

test('a paused server keeps its log: the new one waits, and serves only when the old one is gone', async (t) => {
  const old = await startStoreProcess()
  t.after(() => old.stop())
  const at = { ...old.settings, log: silentLogger, guardWaitMs: 50 }
  const child = old.child
  old.pause()
  // Its supervisor, this process, is alive: so it is not an orphan, and is let live.
  await assert.rejects(startStoreServer(at), { code: 'FF_STORE_LOCKED', fields: { path: at.logPath, pid: child.pid } })
  const starting = startStoreServer({ ...at, guardWaitMs: 10_000 })
  child.kill('SIGKILL')
  const server = await starting
  assert.equal(child.signalCode ?? 'SIGKILL', 'SIGKILL')
  await server.stop()
})

test(
  'a paused server whose supervisor is gone is ended by the next start',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const at = await place(t)
    const supervisor = forkStore(
      { socketPath: at.socketPath, logPath: at.logPath, logLevel: 'silent' },
      { foster: true },
    )
    await once(supervisor, 'message')
    const store = await connectStore({ url: `unix:${at.socketPath}`, deadlineMs: 5000 })
    await store.raiseToken('k', 'e', 1, hourMs)
    await store.close()
    const { pid } = JSON.parse(await readFile(`${at.logPath}.owner`, 'utf8')) as { pid: number }
    process.kill(pid, 'SIGSTOP')
    await assert.rejects(startStoreServer(at), { code: 'FF_STORE_LOCKED' })
    supervisor.kill('SIGKILL')
    await once(supervisor, 'exit')
    await serving(at, async (again) => assert.deepEqual(await again.readToken('k'), { parts: { e: 1 } }))
    assert.match(at.lines.join(), /left behind/)
  },
)

test('a server that can no longer write its log ends, and acknowledged only what is in it', async (t) => {
  const at = await place(t)
  const settings = { socketPath: at.socketPath, logPath: at.logPath, logLevel: 'silent' }
  // A limit on the file's size stands in for a full disc: write(2) takes a part, then nothing.
  const child = forkStore(settings, { maxFileKiB: 64 })
  await once(child, 'message')
  const store = await connectStore({ url: `unix:${at.socketPath}`, deadlineMs: 2000 })
  let acknowledged = 0
  const filling = async (): Promise<void> => {
    for (let lsn = 1; lsn < 5000; lsn += 1) {
      await store.raiseToken('k', 'an epoch that takes some room', lsn, hourMs)
      acknowledged = lsn
    }
  }
  await assert.rejects(filling(), { code: 'FF_STORE_UNAVAILABLE' })
  await store.close()
  if (child.exitCode === null) await once(child, 'exit')
  assert.equal(child.exitCode, 1)
  assert.ok(acknowledged > 0)
  await serving(at, async (again) => {
    const token = await again.readToken('k')
    assert.ok((token?.parts['an epoch that takes some room'] ?? 0) >= acknowledged)
  })
})

test('clients that send nonsense are cut off, others go on', async (t) => {
  const at = await place(t)
  await serving(at, async (store) => {
    await store.ping()
    const rude = connect(at.socketPath)
    rude.on('error', () => undefined)
    rude.resume()
    rude.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    await once(rude, 'close')
    await store.ping()
    await until('the rude one was noted', () => at.lines.some((line) => /language/.test(line)))
  })
})

test('an address that cannot be a socket is refused by name', async (t) => {
  const at = await place(t)
  await assert.rejects(startStoreServer({ ...at, socketPath: join(at.directory, 'x'.repeat(120)) }), {
    code: 'FF_STORE_ADDRESS',
  })
  await writeFile(join(at.directory, 'file'), 'precious')
  await assert.rejects(startStoreServer({ ...at, socketPath: join(at.directory, 'file') }), {
    code: 'FF_STORE_ADDRESS',
  })
  assert.equal(await readFile(join(at.directory, 'file'), 'utf8'), 'precious')
  await assert.rejects(connectStore({ url: 'memcached://secret:word@host' }), (error: Error) => {
    assert.doesNotMatch(error.message, /word/)
    return true
  })
})
