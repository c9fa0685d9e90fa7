/** How files are answered: conditions, ranges and headers, by RFC 9110. */

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { createFiles } from '../../src/files/create-files.ts'
import type { AnswerOptions, FileAnswer, StoredFile } from '../../src/files/files.ts'
import { createMemoryFiles } from '../support/memory-files.ts'

const jpeg = Buffer.concat([Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex'), randomBytes(2480)])
const driver = createMemoryFiles()
const files = createFiles({ driver })
const picture = await files.put(jpeg)
const etag = `"${picture.name}"`

type Headers = Readonly<Record<string, string>>

async function ask(
  headers: Headers = {},
  method = 'GET',
  name = picture.name,
  options: AnswerOptions = {},
): Promise<FileAnswer & { bytes: Buffer }> {
  const answer = await files.answer({ method, headers }, name, options)
  const bytes = answer.body === null ? Buffer.alloc(0) : await buffer(answer.body)
  if (method !== 'HEAD' && answer.status !== 304) assert.equal(answer.headers['content-length'], String(bytes.length))
  return { ...answer, bytes }
}

test('a whole file may be kept for ever and does nothing but show', async () => {
  const { status, headers, bytes } = await ask()
  assert.equal(status, 200)
  assert.ok(bytes.equals(jpeg))
  assert.deepEqual(headers, {
    etag,
    'content-type': 'image/jpeg',
    'content-length': '2500',
    'cache-control': 'public, max-age=31536000, immutable',
    'accept-ranges': 'bytes',
    'content-disposition': 'inline',
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
  })
  const head = await ask({ range: 'bytes=0-1' }, 'HEAD')
  assert.deepEqual(
    { status: head.status, headers: head.headers, body: head.body },
    { status: 200, headers, body: null },
  )
})

test('parts are answered as asked for, what cannot be is 416, and what is no range is the whole', async () => {
  const size = jpeg.length
  const cases: readonly (readonly [string, number, number])[] = [
    ['bytes=0-0', 0, 1],
    ['bytes=0-999', 0, 1000],
    ['bytes=999-1000', 999, 1001],
    ['bytes=1000-', 1000, size],
    ['bytes=2499-', 2499, size],
    ['bytes=2400-999999', 2400, size],
    ['bytes=-1', size - 1, size],
    ['bytes=-99999', 0, size],
    ['BYTES = 1-2'.replace(' ', '').replace(' ', ''), 1, 3],
  ]
  for (const [range, start, end] of cases) {
    const { status, headers, bytes } = await ask({ range })
    assert.equal(status, 206, range)
    assert.equal(headers['content-range'], `bytes ${start}-${end - 1}/${size}`, range)
    assert.ok(bytes.equals(jpeg.subarray(start, end)), range)
    assert.equal(headers['etag'], etag)
  }
  for (const range of ['bytes=2500-', 'bytes=99999-100000', 'bytes=-0']) {
    const { status, headers } = await ask({ range })
    assert.equal(status, 416, range)
    assert.equal(headers['content-range'], `bytes */${size}`)
    assert.equal(headers['cache-control'], undefined)
  }
  for (const range of [
    'bytes=',
    'bytes=-',
    'bytes=5-4',
    'bytes=a-b',
    'lines=1-2',
    'bytes=0-1,5-6',
    'bytes=1-2,',
    '0-1',
    'bytes=1.0-2',
    'bytes=--1',
  ]) {
    const { status, bytes } = await ask({ range })
    assert.equal(status, 200, range)
    assert.ok(bytes.equals(jpeg))
  }
  assert.equal((await ask({ range: 'bytes=0-1', 'if-range': etag })).status, 206)
  for (const ifRange of [`W/${etag}`, '"other"', 'Sat, 21 Nov 2026 00:00:00 GMT']) {
    assert.equal((await ask({ range: 'bytes=0-1', 'if-range': ifRange })).status, 200, ifRange)
  }
})

test('who has the file already is told so', async () => {
  for (const known of [etag, `W/${etag}`, `"a", ${etag} , "b"`, '*']) {
    const { status, headers, body } = await ask({ 'if-none-match': known, range: 'bytes=0-1' })
    assert.equal(status, 304, known)
    assert.equal(body, null)
    assert.equal(headers['etag'], etag)
    assert.match(headers['cache-control'] ?? '', /immutable/)
  }
  for (const other of ['"other"', picture.name, `"x${picture.name}"`]) {
    assert.equal((await ask({ 'if-none-match': other })).status, 200, other)
  }
  assert.equal((await ask({ 'if-match': '"other"' })).status, 412)
  assert.equal((await ask({ 'if-match': `W/${etag}` })).status, 412)
  assert.equal((await ask({ 'if-match': etag })).status, 200)
})

test('what is not there is not kept as such, and nothing else than reading is done here', async () => {
  for (const name of ['f'.repeat(64), 'nope', '..']) {
    const { status, headers } = await ask({}, 'GET', name)
    assert.equal(status, 404)
    assert.equal(headers['cache-control'], 'no-cache')
  }
  const { status, headers } = await ask({}, 'POST')
  assert.equal(status, 405)
  assert.equal(headers['allow'], 'GET, HEAD')
})

test('what a browser could run is for saving', async () => {
  const put = async (text: string): Promise<StoredFile> => await files.put(Buffer.from(text))
  const dangerous = [
    '<!doctype html><script>alert(1)</script>',
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    '%PDF-1.7\n%âãÏÓ',
    'alert(1)',
    '',
  ]
  for (const text of dangerous) {
    const { headers } = await ask({}, 'GET', (await put(text)).name)
    assert.equal(headers['content-disposition'], 'attachment', text)
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.match(headers['content-security-policy'] ?? '', /sandbox/)
    assert.doesNotMatch(headers['content-type'] ?? '', /html|svg|javascript/, text)
  }
})

test('a name to save under cannot break out of its header', async () => {
  const name = 'a"; filename="b\r\nx: y\u{1f600}\ud800é.png'
  const { headers } = await ask({}, 'GET', picture.name, { download: name, cacheControl: 'private, no-store' })
  assert.equal(
    headers['content-disposition'],
    `attachment; filename="a__ filename__b__x_ y____.png"; filename*=UTF-8''a%22%3B%20filename%3D%22b%0D%0Ax%3A%20y%F0%9F%98%80%EF%BF%BD%C3%A9.png`,
  )
  assert.equal(headers['cache-control'], 'private, no-store')
})

test('a web-standard request gets a web-standard response', async () => {
  const response = await files.respond(
    new Request('http://localhost/x', { headers: { range: 'bytes=5-9' } }),
    picture.name,
  )
  assert.equal(response.status, 206)
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), jpeg.subarray(5, 10))
  assert.equal((await files.respond(new Request('http://localhost/x'), 'nope')).status, 404)
})

test('missing bytes are an error and never an early end', async (t) => {
  t.after(() => (driver.missingBytes = 0))
  driver.missingBytes = 1
  const { body } = await files.answer({ method: 'GET', headers: {} }, picture.name)
  await assert.rejects(buffer(body ?? assert.fail('expected a body')), { code: 'FF_FILES_DAMAGED' })
  driver.missingBytes = jpeg.length
  await assert.rejects(files.answer({ method: 'GET', headers: {} }, picture.name), { code: 'FF_FILES_DAMAGED' })
})

test('a reader who does not read on holds two pieces at most, and one who goes away stops the reading', async () => {
  const large = await files.put(randomBytes(100_000))
  driver.piecesRead = 0
  const opened = await files.get(large.name)
  assert.ok(opened !== null)
  const iterator = opened.stream[Symbol.asyncIterator]()
  await iterator.next()
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(driver.piecesRead <= 3, `read ${driver.piecesRead} pieces for one`)
  opened.stream.destroy()
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(driver.piecesRead <= 3)
})
