/** How files come in: from every kind of source, and what becomes of those that do not come to an end. */

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { createFiles } from '../../src/files/create-files.ts'
import { createSweeper } from '../../src/files/sweeper.ts'
import type { FileSource } from '../../src/files/files.ts'
import { silentLogger } from '../../src/core/log.ts'
import { createMemoryFiles } from '../support/memory-files.ts'

const bytes = randomBytes(3500)
const name = createHash('sha256').update(bytes).digest('hex')

test('bytes of every kind are the same file', async () => {
  const driver = createMemoryFiles()
  const files = createFiles({ driver })
  const exact = Uint8Array.from(bytes)
  const form = new FormData()
  form.set('file', new File([exact], 'x.bin'))
  const sources: readonly FileSource[] = [
    bytes,
    exact,
    exact.buffer,
    new Blob([exact]),
    form.get('file') as File,
    new Blob([exact]).stream(),
    new Request('http://localhost', { method: 'POST', body: exact }),
    new Response(exact),
    Readable.from([bytes.subarray(0, 1), bytes.subarray(1)]),
    [bytes.subarray(0, 2000), bytes.subarray(2000)],
    (async function* () {
      yield bytes.subarray(0, 3000)
      yield new Uint8Array(0)
      yield bytes.subarray(3000)
    })(),
  ]
  for (const source of sources) {
    driver.kept.clear()
    const stored = await files.put(source)
    assert.deepEqual(stored, { name, size: 3500, type: 'application/octet-stream', url: `/files/${name}` })
    assert.ok(driver.kept.get(name)?.bytes.equals(bytes))
  }
  assert.equal(driver.staged, 0)
})

test('what has no bytes is refused', async () => {
  const files = createFiles({ driver: createMemoryFiles() })
  for (const source of [null, 5, 'text', {}, ['text'], [1, 2], Readable.from(['text'])]) {
    await assert.rejects(files.put(source as unknown as FileSource), { code: 'FF_FILES_ARGUMENT' })
  }
})

test('what somebody else has read already is refused, and does not become an empty file', async () => {
  const files = createFiles({ driver: createMemoryFiles() })
  const parsed = Readable.from([bytes])
  await buffer(parsed)
  const used = new Request('http://localhost', { method: 'POST', body: bytes })
  await used.arrayBuffer()
  const locked = new Blob([bytes]).stream()
  locked.getReader()
  for (const source of [parsed, used, locked]) await assert.rejects(files.put(source), { code: 'FF_FILES_ARGUMENT' })
})

test('what a parser of forms has cut off is refused, for its end is missing', async () => {
  const driver = createMemoryFiles()
  // As busboy marks it, and with it multer and @fastify/multipart.
  const cut = Object.assign(Readable.from([bytes]), { truncated: true })
  await assert.rejects(createFiles({ driver }).put(cut), { code: 'FF_FILES_TOO_LARGE' })
  assert.deepEqual([driver.kept.size, driver.staged], [0, 0])
})

test('a refused source is left to its owner: neither destroyed nor locked', async () => {
  const files = createFiles({ driver: createMemoryFiles() })
  const stream = new PassThrough()
  stream.write(bytes)
  await assert.rejects(files.put(stream, { maxBytes: 100 }), { code: 'FF_FILES_TOO_LARGE' })
  assert.equal(stream.destroyed, false)
  stream.end('rest')
  assert.equal((await buffer(stream)).toString(), 'rest')
  const web = new Blob([bytes, bytes]).stream()
  await assert.rejects(files.put(web, { accept: ['image/*'] }), { code: 'FF_FILES_TYPE' })
  assert.equal(web.locked, false)
})

test('a source that sends nothing is given up', async () => {
  const driver = createMemoryFiles()
  const files = createFiles({ driver, stallMs: 30 })
  const stalls = async function* (): AsyncGenerator<Buffer> {
    yield bytes
    await new Promise((resolve) => setTimeout(resolve, 60_000).unref())
  }
  await assert.rejects(files.put(stalls()), { code: 'FF_FILES_INCOMPLETE' })
  assert.equal(driver.staged, 0)
  const controller = new AbortController()
  const silent = files.put(new PassThrough(), { signal: controller.signal })
  controller.abort(new Error('gone'))
  await assert.rejects(silent, /gone/)
})

test('who gives up waits for no driver', async () => {
  const driver = createMemoryFiles()
  driver.hold = new Promise(() => undefined)
  const giving = new AbortController()
  const put = createFiles({ driver }).put(bytes, { signal: giving.signal })
  setImmediate(() => giving.abort(new Error('given up')))
  await assert.rejects(put, /given up/)
  assert.equal(driver.kept.size, 0)
})

test('types are told by the bytes', async () => {
  const files = createFiles({ driver: createMemoryFiles() })
  const typeOf = async (beginning: Uint8Array | string): Promise<string> =>
    (await files.put(Buffer.from(beginning))).type
  const hex = (text: string): Buffer => Buffer.concat([Buffer.from(text, 'hex'), Buffer.alloc(100)])
  assert.equal(await typeOf(hex('474946383961')), 'image/gif')
  assert.equal(await typeOf(hex('ffd8ffe0')), 'image/jpeg')
  assert.equal(await typeOf(hex('89504e470d0a1a0a')), 'image/png')
  assert.equal(await typeOf(hex('52494646aaaaaaaa57454250')), 'image/webp')
  assert.equal(await typeOf(hex('504b0304')), 'application/zip')
  assert.equal(await typeOf('%PDF-1.7'), 'application/pdf')
  assert.equal(await typeOf('plain words, dés mots\n'), 'text/plain; charset=utf-8')
  assert.equal(await typeOf('with a \0'), 'application/octet-stream')
  assert.equal(await typeOf(''), 'application/octet-stream')
})

test('leftovers are looked for beside changes, now and then', async () => {
  let sweeps = 0
  let nowMs = 0
  let release = (): void => undefined
  const sweep = async (): Promise<number> => {
    sweeps += 1
    await new Promise<void>((resolve) => (release = resolve))
    return 1
  }
  const sweeper = createSweeper({ sweep, log: silentLogger, everyMs: 1000, nowMs: () => nowMs })
  sweeper.changed()
  nowMs = 2000
  sweeper.changed()
  assert.equal(sweeps, 1, 'one at a time')
  release()
  await new Promise((resolve) => setImmediate(resolve))
  sweeper.changed()
  assert.equal(sweeps, 2)
  const closed = sweeper.close()
  release()
  await closed
  nowMs = 9000
  sweeper.changed()
  assert.equal(sweeps, 2)
})
