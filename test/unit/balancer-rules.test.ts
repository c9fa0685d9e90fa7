import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { forwardAnswerHeaders, readRequestHead, type RequestHead } from '../../src/clones/balancer/headers.ts'
import { createRequestIds } from '../../src/clones/balancer/request-id.ts'
import { createRetryBudget } from '../../src/clones/balancer/retry-budget.ts'
import { createTrust, plainAddress } from '../../src/clones/balancer/trust.ts'
import { createWarnings } from '../../src/clones/balancer/warnings.ts'

function request(url: string, raw: readonly string[], more: object = {}): IncomingMessage {
  return {
    url,
    httpVersion: '1.1',
    rawHeaders: raw,
    socket: { remoteAddress: '::ffff:203.0.113.9' },
    ...more,
  } as unknown as IncomingMessage
}

const read = (url: string, raw: readonly string[], more: object = {}): RequestHead =>
  readRequestHead(request(url, raw, more), () => false, createRequestIds())
const refused = { code: 'FF_BALANCER_BAD_REQUEST', httpStatus: 400 }

test('an absolute target becomes a path, and its authority is the host', () => {
  const { path, host, bodyLength } = read('http://shop.example:81/a?b=1', ['Host', 'other.example'])
  assert.deepEqual({ path, host, bodyLength }, { path: '/a?b=1', host: 'shop.example:81', bodyLength: 0 })
  assert.equal(read('http://shop.example', ['Host', 'x']).path, '/')
  assert.equal(read('HTTPS://shop.example?q', ['Host', 'x']).path, '/?q')
})

test('targets, hosts and lengths that can be read in two ways are refused', () => {
  const cases: [string, string[], object?][] = [
    ['*', ['Host', 'a']],
    ['shop.example:443', ['Host', 'a']],
    ['ftp://shop.example/', ['Host', 'a']],
    ['/', []],
    ['/', ['Host', 'a', 'host', 'a']],
    ['/', ['Host', 'a b']],
    ['/', ['Host', 'a/b']],
    ['/', ['Host', 'user@a']],
    ['/', ['Host', 'a"b']],
    ['/', ['Host', 'a', 'Content-Length', '1', 'content-length', '1']],
    ['/', ['Host', 'a', 'Content-Length', '1', 'Transfer-Encoding', 'chunked']],
    ['/', ['Host', 'a', 'Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
    ['/', ['Host', 'a', 'Transfer-Encoding', 'gzip, chunked']],
    ['/', ['Host', 'a', 'Transfer-Encoding', 'identity']],
    ['/', ['Host', 'a', 'Transfer-Encoding', 'chunked'], { httpVersion: '1.0' }],
    ['/', ['Host', 'a', 'Content-Length', '+1']],
    ['/', ['Host', 'a', 'Content-Length', '1, 1']],
  ]
  for (const [url, raw, more] of cases) assert.throws(() => read(url, raw, more), refused, JSON.stringify([url, raw]))
})

test('a length is read, and chunks have none', () => {
  assert.equal(read('/', ['Host', 'a', 'Content-Length', '12']).bodyLength, 12)
  assert.equal(read('/', ['Host', 'a', 'Transfer-Encoding', 'Chunked']).bodyLength, null)
})

const host = ['Host', 'shop.example']

test('headers of one hop, and those that Connection names, are not forwarded', () => {
  const raw = [
    'Connection',
    'close, X-Secret',
    'X-Secret',
    '1',
    'TE',
    'trailers',
    'Upgrade',
    'h2c',
    'Keep-Alive',
    '1',
    'X-Kept',
    'ü',
  ]
  const { headers } = read('/', [...host, ...raw, 'Expect', '100-continue'])
  assert.deepEqual(headers.slice(0, 4), ['host', 'shop.example', 'X-Kept', 'ü'])
  assert.ok(!headers.some((part) => ['X-Secret', 'TE', 'Upgrade', 'Keep-Alive', 'Connection', 'Expect'].includes(part)))
})

test('forwarding headers of a stranger are dropped, also in other spellings', () => {
  const lies = [
    'X-Forwarded-For',
    '1.1.1.1',
    'x_forwarded_for',
    '1.1.1.1',
    'X-Forwarded-Proto',
    'https',
    'Forwarded',
    'for=1.1.1.1',
  ]
  const more = [
    'X-Real-IP',
    '1.1.1.1',
    'X-Forwarded-User',
    'admin',
    'X-Fourfold-Clone',
    'x',
    'X-Forwarded-Host',
    'evil.example',
  ]
  const { headers } = read('/', [...host, ...lies, ...more])
  assert.deepEqual(headers.slice(0, -1), [
    ...['host', 'shop.example', 'x-forwarded-for', '203.0.113.9', 'x-forwarded-proto', 'http'],
    ...[
      'x-forwarded-host',
      'shop.example',
      'forwarded',
      'for=203.0.113.9;host="shop.example";proto=http',
      'x-request-id',
    ],
  ])
})

test('forwarding headers of a trusted proxy are kept and added to', () => {
  const raw = [
    'X-Forwarded-For',
    '198.51.100.7',
    'X-Forwarded-Proto',
    'https',
    'X-Forwarded-Host',
    'www.example',
    'Forwarded',
    'for=198.51.100.7',
  ]
  const { headers } = readRequestHead(
    request('/', [...host, ...raw]),
    createTrust(['203.0.113.0/24']),
    createRequestIds(),
  )
  assert.deepEqual(headers.slice(2, -2), [
    ...[
      'x-forwarded-for',
      '198.51.100.7, 203.0.113.9',
      'x-forwarded-proto',
      'https',
      'x-forwarded-host',
      'www.example',
    ],
    ...['forwarded', 'for=198.51.100.7, for=203.0.113.9;host="shop.example";proto=http'],
  ])
})

test('a request id is kept if it can stand in a log line, and made otherwise', () => {
  const id = (raw: string[]): string => read('/', [...host, ...raw]).requestId
  assert.equal(id(['X-Request-Id', 'abc-1.2:3']), 'abc-1.2:3')
  for (const bad of ['', 'a b', 'a"b', 'x'.repeat(129), '<script>'])
    assert.match(id(['X-Request-Id', bad]), /^[0-9a-f-]{36}$/)
})

test('no two requests get the same id', () => {
  const next = createRequestIds()
  const ids = new Set(Array.from({ length: 10_000 }, next))
  assert.equal(ids.size, 10_000)
  for (const id of [...ids].slice(0, 10))
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

test('an answer never carries both a length and a transfer coding, and 204 carries no length', () => {
  const both = forwardAnswerHeaders(['Content-Length', '5', 'Transfer-Encoding', 'chunked', 'X-A', '1'], 200)
  assert.deepEqual([both.headers, both.length], [['X-A', '1'], null])
  assert.deepEqual(forwardAnswerHeaders(['Content-Length', '0'], 204).headers, [])
  assert.deepEqual(forwardAnswerHeaders(['Content-Length', '5'], 304).headers, ['content-length', '5'])
})

test('trailers that an answer announces are told apart, since they may stand only where they can follow', () => {
  const { headers, trailer } = forwardAnswerHeaders(['Trailer', 'x-a', 'X-B', '1', 'trailer', 'x-c'], 200)
  assert.deepEqual([headers, trailer], [['X-B', '1'], 'x-a, x-c'])
})

test('repeated headers of an answer keep their order, and its hop headers end', () => {
  const raw = [
    'Set-Cookie',
    'a=1',
    'Connection',
    'keep-alive, x-hop',
    'X-Hop',
    '1',
    'set-cookie',
    'b=2',
    'X-Fourfold-Clone',
    'lie',
  ]
  const { headers } = forwardAnswerHeaders(raw, 200)
  assert.deepEqual(headers, ['Set-Cookie', 'a=1', 'set-cookie', 'b=2'])
})

test('retries are a fifth of the requests of the last seconds, and at least three', () => {
  let now = 0
  const budget = createRetryBudget({ now: () => now })
  assert.deepEqual(
    [1, 2, 3, 4].map(() => budget.take()),
    [true, true, true, false],
  )
  for (let count = 0; count < 50; count += 1) budget.note()
  assert.deepEqual(Array.from({ length: 8 }, () => budget.take()).filter(Boolean).length, 7)
  now = 20_000
  assert.deepEqual(
    [1, 2, 3, 4].map(() => budget.take()),
    [true, true, true, false],
  )
})

test('trusted proxies are addresses and ranges of both families', () => {
  const trust = createTrust(['10.0.0.0/8', '192.0.2.1', '2001:db8::/32'])
  const answers = ['10.1.2.3', '192.0.2.1', '192.0.2.2', '2001:db8::5', '2001:db9::5', 'unknown'].map(trust)
  assert.deepEqual(answers, [true, true, false, true, false, false])
  for (const bad of ['localhost', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', '']) {
    assert.throws(() => createTrust(['10.0.0.1', bad]), { code: 'FF_CONFIG_INVALID', message: /trustProxy\[1\]/ })
  }
  assert.equal(plainAddress('::ffff:192.0.2.1'), '192.0.2.1')
})

test('what fails every request is one line a second, which says how many it stands for', () => {
  let now = 0
  const warnings = createWarnings(() => now)
  assert.deepEqual(
    ['full', 'full', 'gone', 'full'].map((kind) => warnings.admit(kind)),
    [0, null, 0, null],
  )
  now = 1000
  assert.deepEqual([warnings.admit('full'), warnings.admit('gone'), warnings.admit('full')], [2, 0, null])
})
