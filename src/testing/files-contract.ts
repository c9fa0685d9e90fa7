/**
 * The contract of every driver of files, as tests for `node:test`. A driver passes when it does what `FileDriver`'s and
 * `Files`' prose says, against its real server: two processes at once, uploads that break off, races of the same bytes,
 * a server that is paused.
 *
 * @example
 * filesContract({ name: 'sql', start: startDatabase })
 */

import assert from 'node:assert/strict'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { buffer } from 'node:stream/consumers'
import { createFiles } from '../files/create-files.ts'
import type { FileDriver } from '../files/driver.ts'
import type { Files } from '../files/files.ts'
import { until } from './until.ts'

/** A real server that the contract may pause. */
export interface FilesServerUnderTest {
  /** A driver as another process would have it. */
  connect(): Promise<FileDriver>
  /** How many contents are kept in whatever state: named, coming in, or left over. */
  countContents(): Promise<number>
  /** Stops the server's processes without ending them, as by SIGSTOP. */
  pause(): void
  resume(): void
  stop(): Promise<void>
}

export interface FilesContractOptions {
  readonly name: string
  readonly start: () => Promise<FilesServerUnderTest>
  /** Why the suite cannot run here. */
  readonly skip?: string | false
}

interface Given {
  readonly server: FilesServerUnderTest
  readonly driver: FileDriver
  readonly one: Files
  readonly two: Files
}

const maxBytes = 64 * 1024 ** 2
/** One pixel. */
const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

/** Registers the contract's tests. */
export function filesContract(options: FilesContractOptions): void {
  describe(`the contract of files: ${options.name}`, { skip: options.skip ?? false }, () => {
    const given = {} as { -readonly [Key in keyof Given]: Given[Key] }
    const drivers: FileDriver[] = []
    before(async () => {
      given.server = await options.start()
      drivers.push(await given.server.connect(), await given.server.connect())
      const [first, second] = drivers as [FileDriver, FileDriver]
      given.driver = first
      given.one = createFiles({ driver: first, maxBytes })
      given.two = createFiles({ driver: second, maxBytes })
    })
    after(async () => {
      for (const driver of [...drivers, ...drivers]) await driver.close()
      await given.server?.stop()
    })
    bytesTests(given)
    removalTests(given)
    brokenUploadTests(given)
    sweepTests(given)
    deadlineTests(given)
  })
}

function bytesTests(given: Given): void {
  test('a file put by one process is read by another at once, under the hash of its bytes', async () => {
    const bytes = Buffer.concat([png, randomBytes(1000)])
    const put = await given.one.put(bytes)
    const name = hashOf(bytes)
    assert.deepEqual(put, { name, size: bytes.length, type: 'image/png', url: `/files/${name}` })
    assert.deepEqual(await given.two.head(name), put)
    assert.deepEqual(await read(given.two, name), bytes)
  })

  test('files of all sizes around that of a piece come back as they were', async () => {
    const { pieceBytes } = given.driver
    for (const size of [0, 1, pieceBytes - 1, pieceBytes, pieceBytes + 1, 2 * pieceBytes, 2 * pieceBytes + 17]) {
      const bytes = randomBytes(size)
      const { name } = await given.one.put(inPieces(bytes))
      assert.equal(name, hashOf(bytes), `${size} bytes`)
      assert.equal((await given.two.head(name))?.size, size)
      assert.ok((await read(given.two, name)).equals(bytes), `${size} bytes`)
    }
  })

  test('any part is exactly that part, also across pieces', async () => {
    const { pieceBytes } = given.driver
    const bytes = randomBytes(2 * pieceBytes + 1000)
    const { name } = await given.one.put(bytes)
    const edges = [0, 1, pieceBytes - 1, pieceBytes, pieceBytes + 1, 2 * pieceBytes, bytes.length - 1, bytes.length]
    const places = [...edges, ...Array.from({ length: 4 }, () => randomInt(bytes.length))]
    for (const start of places) {
      const end = Math.min(bytes.length, start + (places[randomInt(places.length)] ?? 0))
      const opened = await given.two.get(name, { range: { start, end } })
      assert.ok(opened !== null)
      const part = await buffer(opened.stream)
      assert.ok(
        part.equals(bytes.subarray(start, end)),
        `${start} to ${end} of ${bytes.length}, got ${part.length} bytes`,
      )
    }
    await assert.rejects(given.two.get(name, { range: { start: 0, end: bytes.length + 1 } }), {
      code: 'FF_FILES_ARGUMENT',
    })
  })

  test('the same bytes put many times at once are one file', async () => {
    for (const size of [100, given.driver.pieceBytes + 100]) {
      const bytes = randomBytes(size)
      const before = await given.server.countContents()
      const put = await Promise.all(
        [...Array(4).keys()].map((index) => (index % 2 ? given.one : given.two).put(inPieces(bytes))),
      )
      assert.equal(new Set(put.map(({ name }) => name)).size, 1)
      assert.ok((await read(given.two, hashOf(bytes))).equals(bytes))
      assert.equal(await given.server.countContents(), before + 1)
    }
  })

  test('what is no name, or nobody’s, is null', async () => {
    for (const name of ['', '../etc/passwd', 'A'.repeat(64), hashOf(randomBytes(9))]) {
      assert.equal(await given.one.head(name), null)
      assert.equal(await given.one.get(name), null)
      assert.equal(await given.one.remove(name), false)
    }
  })
}

function removalTests(given: Given): void {
  test('a removed file is gone for everybody, and can be put again', async () => {
    const bytes = randomBytes(1000)
    const { name } = await given.one.put(bytes)
    assert.equal(await given.two.remove(name), true)
    assert.equal(await given.one.head(name), null)
    assert.equal(await given.one.remove(name), false)
    await given.one.put(bytes)
    assert.deepEqual(await read(given.two, name), bytes)
  })

  test('who reads a file that is removed meanwhile gets it to its end', async () => {
    const bytes = randomBytes(2 * given.driver.pieceBytes)
    const { name } = await given.one.put(bytes)
    const opened = await given.two.get(name)
    assert.ok(opened !== null)
    const iterator = opened.stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    const parts = [(await iterator.next()).value as Buffer]
    await given.one.remove(name)
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) parts.push(next.value)
    assert.ok(Buffer.concat(parts).equals(bytes))
  })

  test('a put beside a removal of the same bytes is as if one came after the other', async () => {
    for (const [size, rounds] of [
      [50, 4],
      [given.driver.pieceBytes + 50, 1],
    ] as const) {
      const bytes = randomBytes(size)
      const name = hashOf(bytes)
      for (let round = 0; round < rounds; round += 1) {
        await given.one.put(bytes)
        const [removed] = await Promise.all([given.two.remove(name), given.one.put(bytes)])
        assert.equal(removed, true)
        const opened = await given.two.get(name)
        if (opened !== null) assert.ok((await buffer(opened.stream)).equals(bytes))
        await given.one.put(bytes)
        assert.ok((await read(given.two, name)).equals(bytes))
      }
    }
  })
}

function brokenUploadTests(given: Given): void {
  const refuses = async (code: string, put: (bytes: Buffer) => Promise<unknown>, size: number): Promise<void> => {
    const bytes = randomBytes(size)
    const before = await given.server.countContents()
    await assert.rejects(put(bytes), { code })
    assert.equal(await given.two.head(hashOf(bytes)), null)
    assert.equal(await given.server.countContents(), before)
  }

  test('an upload that breaks off leaves nothing, whole pieces in or not', async () => {
    for (const size of [100, 3 * given.driver.pieceBytes]) {
      const broken = (bytes: Buffer): Promise<unknown> => given.one.put(thenFails(bytes, new Error('the line broke')))
      await refuses('FF_FILES_INCOMPLETE', broken, size)
    }
  })

  test('an upload that is given up leaves nothing', async () => {
    const ending = new AbortController()
    const reason = Object.assign(new Error('given up'), { code: 'GIVEN_UP' })
    const source = async function* (bytes: Buffer): AsyncGenerator<Buffer> {
      yield bytes
      ending.abort(reason)
      yield bytes
    }
    await refuses(
      'GIVEN_UP',
      (bytes) => given.one.put(source(bytes), { signal: ending.signal }),
      given.driver.pieceBytes * 2,
    )
  })

  test('a file that is too large is refused where it gets too large', async () => {
    const limit = given.driver.pieceBytes + 10
    let sent = 0
    const counted = async function* (bytes: Buffer): AsyncGenerator<Buffer> {
      for await (const piece of inPieces(bytes)) {
        sent += piece.length
        yield piece
      }
    }
    await refuses('FF_FILES_TOO_LARGE', (bytes) => given.one.put(counted(bytes), { maxBytes: limit }), 3 * limit)
    assert.ok(sent < 2 * limit, `read ${sent} bytes of a file of which ${limit} are taken`)
  })

  test('the type is what the bytes look like, and others are refused', async () => {
    const accept = ['image/*']
    assert.equal((await given.one.put(Buffer.concat([png, randomBytes(10)]), { accept })).type, 'image/png')
    await refuses('FF_FILES_TYPE', (bytes) => given.one.put(bytes, { accept }), 1000)
    const page = Buffer.from(`<html><script>alert(1)</script>${randomBytes(9).toString('hex')}`)
    await assert.rejects(given.one.put(page, { accept }), { code: 'FF_FILES_TYPE' })
    assert.equal((await given.one.put(page)).type, 'text/plain; charset=utf-8')
  })
}

function sweepTests(given: Given): void {
  test('what a dead process staged is swept by its age, and cannot be finished then', async () => {
    const { server, driver, two } = given
    const kept = randomBytes(driver.pieceBytes + 5)
    const { name } = await two.put(kept)
    await two.sweep(0)
    const before = await server.countContents()
    const stage = driver.stage()
    const { signal } = new AbortController()
    await stage.write(randomBytes(driver.pieceBytes), signal)
    await stage.write(randomBytes(driver.pieceBytes), signal)
    await two.sweep()
    assert.equal(await server.countContents(), before + 1, 'it is young, and may go on')
    await until('it is old enough', async () => (await two.sweep(1)) === 1)
    assert.equal(await server.countContents(), before)
    const facts = { name: 'b'.repeat(64), size: 2 * driver.pieceBytes, type: 'text/plain' }
    await assert.rejects(stage.finish(facts, new Uint8Array(0), signal), { code: 'FF_FILES_SWEPT' })
    await stage.discard()
    assert.equal(await two.head(facts.name), null)
    assert.ok((await read(two, name)).equals(kept), 'a file that has its name is not swept')
    assert.equal(await two.sweep(0), 0)
  })
}

function deadlineTests(given: Given): void {
  test('nothing hangs on a server that is paused, and all goes on afterwards', { timeout: 60_000 }, async () => {
    const { server } = given
    const bytes = randomBytes(1000)
    const files = createFiles({ driver: given.driver, deadlineMs: 300 })
    const { name } = await given.one.put(bytes)
    server.pause()
    try {
      await assert.rejects(files.get(name), isLate)
      await assert.rejects(files.put(randomBytes(10)), isLate)
      // Of another file: what was given up may take place after all, later.
      await assert.rejects(files.remove(hashOf(randomBytes(9))), isLate)
    } finally {
      server.resume()
    }
    await until('the server answers again', async () => (await given.one.put(bytes)) !== null, 30_000)
    assert.ok((await read(given.two, name)).equals(bytes))
  })
}

const isLate = (error: unknown): boolean =>
  ['FF_CORE_DEADLINE', 'FF_FILES_UNAVAILABLE'].includes(String((error as { code?: unknown }).code))

async function read(files: Files, name: string): Promise<Buffer> {
  const opened = await files.get(name)
  assert.ok(opened !== null, `expected a file ${name}`)
  return await buffer(opened.stream)
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Pieces of uneven sizes, as a network brings them. */
async function* inPieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length;) {
    const size = randomInt(1, 200_000)
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function* thenFails(bytes: Buffer, error: Error): AsyncGenerator<Buffer> {
  yield* inPieces(bytes)
  throw error
}
