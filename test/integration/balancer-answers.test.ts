/**
 * Clones that are broken, or hostile: whatever one writes, its client gets one answer or a cut connection, the balancer
 * stays up, and the next request is never given bytes of an answer before it (RFC 9112 9.2; response splitting and
 * response queue poisoning: Klein 2004, Kettle 2021 "HTTP/2: The Sequel is Always Worse", Kettle 2022).
 */

import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { startBalancer } from '../../src/clones/balancer/balancer.ts'
import { silentLogger } from '../../src/core/log.ts'
import { openRaw } from '../support/balanced.ts'
import { readRawAnswer, type RawAnswer } from '../support/raw-answer.ts'
import { openRawClone, plainAnswer, type RawClone } from '../support/raw-clone.ts'
import { waitFor } from '../support/wait-for.ts'

/** What nobody asked for. */
const evil = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL'
const ok = 'HTTP/1.1 200 OK\r\n'

interface HostileAnswer {
  readonly name: string
  readonly bytes: string
  /** Default: the clone keeps the connection. */
  readonly ends?: true
  readonly method?: 'GET' | 'HEAD'
  /** A status and a body that came whole; `bad`: 502 or 504; `cut`: it began, and does not look whole. */
  readonly expect: Outcome
  /** Where undici does otherwise. */
  readonly undici?: Outcome
}

type Outcome = readonly [status: number, body: string] | 'bad' | 'cut'

const many = (count: number, line: string): string => Array.from({ length: count }, () => line).join('')

const answers: readonly HostileAnswer[] = [
  {
    name: 'a length and a coding',
    bytes: `${ok}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    expect: 'bad',
  },
  { name: 'two lengths', bytes: `${ok}content-length: 2\r\ncontent-length: 30\r\n\r\nok${evil}`, expect: 'bad' },
  { name: 'a length with a sign', bytes: `${ok}content-length: +2\r\n\r\nok`, expect: 'bad' },
  { name: 'a length beyond 64 bits', bytes: `${ok}content-length: 18446744073709551618\r\n\r\nok`, expect: 'bad' },
  { name: 'an answer behind the answer', bytes: `${ok}content-length: 2\r\n\r\nok${evil}`, expect: [200, 'ok'] },
  {
    name: 'an answer behind the last chunk',
    bytes: `${ok}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${evil}`,
    expect: [200, 'ok'],
  },
  { name: 'garbage behind the answer', bytes: `${ok}content-length: 2\r\n\r\nokXXXXXXXX`, expect: [200, 'ok'] },
  { name: 'line ends behind the answer', bytes: `${ok}content-length: 2\r\n\r\nok\r\n\r\n`, expect: [200, 'ok'] },
  {
    name: 'half an answer behind the answer',
    bytes: `${ok}content-length: 2\r\n\r\nok${evil.slice(0, 30)}`,
    expect: [200, 'ok'],
  },
  {
    name: 'a body to HEAD',
    method: 'HEAD',
    bytes: `${ok}content-length: ${evil.length}\r\n\r\n${evil}`,
    expect: [200, ''],
  },
  {
    name: 'a chunked body to HEAD',
    method: 'HEAD',
    bytes: `${ok}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    expect: [200, ''],
  },
  {
    name: '204 with a body',
    bytes: `HTTP/1.1 204 No Content\r\ncontent-length: ${evil.length}\r\n\r\n${evil}`,
    expect: [204, ''],
  },
  {
    name: '204 in chunks',
    bytes: `HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n4\r\nEVIL\r\n0\r\n\r\n`,
    expect: [204, ''],
  },
  {
    name: '304 with a body',
    bytes: `HTTP/1.1 304 Not Modified\r\ncontent-length: ${evil.length}\r\n\r\n${evil}`,
    expect: [304, ''],
  },
  {
    name: '101 that nobody asked for',
    bytes: `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n${evil}`,
    expect: 'bad',
  },
  { name: '101 without a protocol', bytes: `HTTP/1.1 101 Switching Protocols\r\n\r\n${evil}`, expect: 'bad' },
  {
    name: 'interim answers, then the answer',
    bytes: `HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${ok}content-length: 2\r\n\r\nok`,
    expect: [200, 'ok'],
  },
  {
    name: 'a hint that is no link',
    bytes: `HTTP/1.1 103 Early Hints\r\nlink: what?\r\n\r\n${ok}content-length: 2\r\n\r\nok`,
    expect: [200, 'ok'],
  },
  {
    name: '100 that nobody waits for',
    bytes: `HTTP/1.1 100 Continue\r\n\r\n${ok}content-length: 2\r\n\r\nok`,
    expect: [200, 'ok'],
    undici: 'bad',
  },
  {
    name: 'interim answers without end',
    bytes: many(2000, 'HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n'),
    expect: 'bad',
  },
  { name: 'an interim answer alone', bytes: 'HTTP/1.1 100 Continue\r\n\r\n', expect: 'bad' },
  {
    name: 'an interim answer with a length',
    bytes: `HTTP/1.1 103 Early Hints\r\ncontent-length: 4\r\n\r\n${ok}content-length: 2\r\n\r\nok`,
    expect: [200, 'ok'],
  },
  { name: 'headers without end', bytes: `${ok}${many(4000, `x-a: ${'a'.repeat(40)}\r\n`)}`, expect: 'bad' },
  {
    name: 'a header over 64 KiB',
    bytes: `${ok}x-a: ${'a'.repeat(100_000)}\r\ncontent-length: 2\r\n\r\nok`,
    expect: 'bad',
  },
  {
    name: 'a reason over 64 KiB',
    bytes: `HTTP/1.1 200 ${'a'.repeat(100_000)}\r\ncontent-length: 2\r\n\r\nok`,
    expect: 'bad',
    undici: [200, 'ok'],
  },
  {
    name: 'a chunk with a size that is none',
    bytes: `${ok}transfer-encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n`,
    expect: 'cut',
  },
  {
    name: 'a chunk that is longer than its size',
    bytes: `${ok}transfer-encoding: chunked\r\n\r\n2\r\nokEVIL\r\n0\r\n\r\n`,
    expect: 'cut',
  },
  {
    name: 'a chunk with a bare LF',
    bytes: `${ok}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n5\nhello\r\n0\r\n\r\n`,
    expect: 'cut',
  },
  { name: 'a body shorter than its length', ends: true, bytes: `${ok}content-length: 9\r\n\r\nhalf`, expect: 'cut' },
  {
    name: 'a chunked body that breaks off',
    ends: true,
    bytes: `${ok}transfer-encoding: chunked\r\n\r\n9\r\nhalf`,
    expect: 'cut',
  },
  {
    name: 'a chunked body without its last chunk',
    ends: true,
    bytes: `${ok}transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n`,
    expect: 'cut',
  },
  { name: 'a head that breaks off', ends: true, bytes: `${ok}content-le`, expect: 'bad' },
  { name: 'nothing at all', ends: true, bytes: '', expect: 'bad' },
  {
    name: 'a body that ends with the connection',
    ends: true,
    bytes: `${ok}\r\nto the end`,
    expect: [200, 'to the end'],
  },
  { name: 'HTTP/1.0', ends: true, bytes: 'HTTP/1.0 200 OK\r\n\r\nold', expect: [200, 'old'] },
  {
    name: 'HTTP/1.0 with a length, kept open',
    bytes: 'HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold',
    expect: [200, 'old'],
  },
  {
    name: 'a connection that ends though it is kept',
    ends: true,
    bytes: `${ok}connection: keep-alive\r\ncontent-length: 2\r\n\r\nok`,
    expect: [200, 'ok'],
  },
  {
    name: 'a connection that is said to close and is kept',
    bytes: `${ok}connection: close\r\ncontent-length: 2\r\n\r\nok`,
    expect: [200, 'ok'],
  },
  {
    name: 'a header with a bare LF',
    bytes: `${ok}x-a: b\nset-cookie: evil\r\ncontent-length: 2\r\n\r\nok`,
    expect: 'bad',
  },
  {
    name: 'a header with a bare CR',
    bytes: `${ok}x-a: b\rset-cookie: evil\r\ncontent-length: 2\r\n\r\nok`,
    expect: 'bad',
  },
  { name: 'a header with a NUL', bytes: `${ok}x-a: b\0c\r\ncontent-length: 2\r\n\r\nok`, expect: 'bad' },
  {
    name: 'a header with a blank before its colon',
    bytes: `${ok}x-a : b\r\ncontent-length: 2\r\n\r\nok`,
    expect: 'bad',
  },
  { name: 'a header without a name', bytes: `${ok}: b\r\ncontent-length: 2\r\n\r\nok`, expect: 'bad' },
  { name: 'a folded header', bytes: `${ok}x-a: b\r\n c\r\ncontent-length: 2\r\n\r\nok`, expect: 'bad' },
  { name: 'lines that end in bare LF', bytes: 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok', expect: 'bad' },
  { name: 'the status 999', bytes: 'HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\nok', expect: [999, 'ok'] },
  { name: 'a status of four digits', bytes: 'HTTP/1.1 2000 OK\r\ncontent-length: 2\r\n\r\nok', expect: 'bad' },
  { name: 'a status below 100', bytes: 'HTTP/1.1 042 OK\r\ncontent-length: 2\r\n\r\nok', expect: 'bad' },
  { name: 'a status of zeros', bytes: 'HTTP/1.1 000 OK\r\ncontent-length: 2\r\n\r\nok', expect: 'bad' },
  { name: 'no reason', bytes: 'HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok', expect: [200, 'ok'] },
  { name: 'no reason and no blank', bytes: 'HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok', expect: [200, 'ok'] },
  { name: 'a reason with a control', bytes: 'HTTP/1.1 200 O\x01K\r\ncontent-length: 2\r\n\r\nok', expect: [200, 'ok'] },
  { name: 'a reason beyond ASCII', bytes: 'HTTP/1.1 200 O\xfcK\r\ncontent-length: 2\r\n\r\nok', expect: [200, 'ok'] },
  { name: 'another protocol', ends: true, bytes: 'SSH-2.0-OpenSSH_9.9\r\n', expect: 'bad' },
  { name: 'HTTP/2', bytes: '\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0', expect: 'bad' },
  { name: 'HTTP/1.1 with another version', bytes: 'HTTP/1.2 200 OK\r\ncontent-length: 2\r\n\r\nok', expect: 'bad' },
  {
    name: 'trailers that would be headers',
    bytes: `${ok}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nset-cookie: evil=1\r\nx-sum: 1\r\n\r\n`,
    expect: [200, 'ok'],
  },
  {
    name: 'headers of the hop',
    bytes: `${ok}connection: x-secret\r\nx-secret: EVIL\r\nproxy-authenticate: EVIL\r\nkeep-alive: timeout=999\r\nx-fourfold-clone: EVIL\r\ncontent-length: 2\r\n\r\nok`,
    expect: [200, 'ok'],
  },
  {
    name: 'Keep-Alive that is nonsense',
    bytes: `${ok}keep-alive: timeout=-1, timeout=99999999999, max=x\r\ncontent-length: 2\r\n\r\nok`,
    expect: [200, 'ok'],
  },
]

for (const nativeParser of [true, false]) {
  describe(`answers of a broken clone, ${nativeParser ? "Node's parser" : 'undici'}`, () => {
    for (const hostile of answers) it(hostile.name, (t) => runTwice(t, hostile, nativeParser))
    it('an answer that nobody asked for, on a connection that waits', (t) => answersUnasked(t, nativeParser))
    it('an answer that comes byte by byte', (t) => dripsAnswer(t, nativeParser))
    it('an answer before the request is whole', (t) => answersEarly(t, nativeParser))
  })
}

async function open(t: TestContext, nativeParser: boolean): Promise<{ clone: RawClone; port: number }> {
  const clone = await openRawClone(t)
  const options = { requestTimeoutMs: 400, nativeParser }
  const balancer = await startBalancer({ port: 0, log: silentLogger, ...options })
  balancer.setUpstreams([clone.upstream])
  t.after(() => balancer.stop(0))
  return { clone, port: balancer.address.port }
}

/** Twice in a row, each followed by others, so that whatever it left behind has somebody to harm. */
async function runTwice(t: TestContext, hostile: HostileAnswer, nativeParser: boolean): Promise<void> {
  const { clone, port } = await open(t, nativeParser)
  const { method = 'GET', bytes, ends, expect, undici } = hostile
  clone.answer = (request, socket) => {
    if (request.target !== '/hostile') return plainAnswer(request)
    socket.write(bytes, 'latin1')
    if (ends === true) socket.end()
    return null
  }
  for (let round = 0; round < 2; round += 1) {
    const raw = openRaw(t, port, `${method} /hostile HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    isAsExpected(nativeParser ? expect : (undici ?? expect), await raw.closed, method)
    await servesOthers(t, port)
  }
  assert.deepEqual(clone.violations, [])
}

function isAsExpected(expect: Outcome, received: string, method: string): void {
  assert.doesNotMatch(received, /EVIL|set-cookie|\n[^\r]*\0/, received)
  const answer = readRawAnswer(received, method === 'HEAD')
  if (answer === null) {
    assert.ok(expect === 'cut' && received === '', received.slice(0, 300))
    return
  }
  assert.equal(answer.rest, '')
  if (expect === 'bad') assert.ok(answer.status === 502 || answer.status === 504, received.slice(0, 300))
  else if (expect === 'cut') assert.ok(!answer.whole || answer.status === 502, received.slice(0, 300))
  else assert.deepEqual([answer.status, answer.body, answer.whole], [...expect, true], received.slice(0, 300))
}

async function servesOthers(t: TestContext, port: number): Promise<void> {
  const targets = ['/next-1', '/next-2', '/next-3']
  for (const target of targets) assert.equal((await ask(t, port, target)).body, `GET ${target}`)
}

async function ask(t: TestContext, port: number, target: string): Promise<RawAnswer> {
  const received = await openRaw(t, port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`).closed
  const answer = readRawAnswer(received)
  assert.ok(answer !== null && answer.status === 200 && answer.whole && answer.rest === '', received.slice(0, 300))
  return answer
}

async function answersUnasked(t: TestContext, nativeParser: boolean): Promise<void> {
  const { clone, port } = await open(t, nativeParser)
  const sockets: { write(bytes: string): unknown }[] = []
  clone.answer = (request, socket) => {
    sockets.push(socket)
    return plainAnswer(request)
  }
  for (let round = 0; round < 3; round += 1) {
    await ask(t, port, '/first')
    const before = clone.connections()
    sockets.at(-1)?.write(evil)
    await waitFor('the balancer to drop the connection', () => clone.connections() < before)
    await servesOthers(t, port)
  }
}

async function dripsAnswer(t: TestContext, nativeParser: boolean): Promise<void> {
  const { clone, port } = await open(t, nativeParser)
  const bytes = `HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n${ok}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n`
  clone.answer = (request, socket) => {
    if (request.target !== '/drip') return plainAnswer(request)
    let at = 0
    const next = (): void => {
      if (at === bytes.length) return
      socket.write(bytes[at] ?? '', () => setImmediate(next))
      at += 1
    }
    next()
    return null
  }
  assert.equal((await ask(t, port, '/drip')).body, 'hello')
  await servesOthers(t, port)
}

async function answersEarly(t: TestContext, nativeParser: boolean): Promise<void> {
  const { clone, port } = await open(t, nativeParser)
  clone.answerEarly = (_pending, socket) => void socket.write(`${ok}content-length: 5\r\n\r\nearly`)
  const raw = openRaw(t, port, 'POST /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  await waitFor('the answer', () => raw.received().includes('early'))
  clone.answerEarly = null
  // What is still to come of the body is a request to somebody who is out of step.
  const rest = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
  raw.socket.write(
    `${rest.length.toString(16)}\r\n${rest}\r\n0\r\n\r\nGET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
  )
  const first = readRawAnswer(await raw.closed)
  assert.equal(first?.body, 'early')
  const last = readRawAnswer(first?.rest ?? '')
  assert.ok(last === null || last.body === 'GET /last', first?.rest)
  await servesOthers(t, port)
  const asked = clone.requests.map(({ target }) => target).filter((target) => target !== '/last')
  assert.deepEqual(asked, ['/next-1', '/next-2', '/next-3'])
}
