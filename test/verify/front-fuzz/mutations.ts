/** Requests that are valid, and what can be done to their bytes. */

import type { Random } from './random.ts'

/** What names a connection: it is in the target, a header and the body of everything that is sent on it. */
export function tokenOf(connection: number): string {
  return `c${connection}c`
}

const bait = (token: string): string => `GET /smuggled-${token} HTTP/1.1\r\nHost: a\r\nX-Conn: ${token}\r\n\r\n`

/** One to four valid requests, one behind the other. */
export function makeRequests(random: Random, connection: number): readonly string[] {
  const token = tokenOf(connection)
  return Array.from({ length: 1 + random.below(4) }, (_value, index) => makeRequest(random, `${token}-${index}`, token))
}

function makeRequest(random: Random, id: string, token: string): string {
  const method = random.pick(['GET', 'GET', 'POST', 'PUT', 'OPTIONS', 'DELETE'])
  const extra = random.pick([
    '',
    'Accept: */*\r\n',
    'Cookie: a=b\r\nX-A: 1\r\nX-A: 2\r\n',
    'Connection: keep-alive, x-a\r\n',
  ])
  const head = `${method} /${id} HTTP/1.1\r\nHost: a\r\nX-Conn: ${token}\r\n${extra}`
  const body = random.pick([bait(token), token.repeat(50), `0\r\n\r\n${bait(token)}`])
  if (method === 'GET' && random.chance(0.7)) return `${head}\r\n`
  const expectation = random.chance(0.1) ? 'Expect: 100-continue\r\n' : ''
  if (random.chance(0.5)) return `${head}${expectation}Content-Length: ${body.length}\r\n\r\n${body}`
  const cut = 1 + random.below(body.length - 1)
  const chunks = [body.slice(0, cut), body.slice(cut)].map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
  const trailer = random.chance(0.3) ? 'X-Sum: 1\r\n' : ''
  return `${head}${expectation}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\n${trailer}\r\n`
}

const controls = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  '\t',
  ' ',
  '\v',
  '\x7f',
  '\xff',
  ':',
  ';',
  ',',
  '\r\n ',
  '\r\n\r\n',
  '\\',
  '#',
  '"',
]
const lines = [
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: +5',
  'Content-Length: 5, 5',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:\tchunked',
  'Host: b',
  'Expect: 100-continue',
  'Expect: x 100-continue',
  'Connection: close',
  'Connection: content-length, host, x-forwarded-for, x-request-id',
  'Upgrade: h2c\r\nConnection: Upgrade',
  'Upgrade: websocket\r\nConnection: Upgrade',
  'X-Forwarded-For: 6.6.6.6',
  'X_Forwarded_For: 6.6.6.6',
  ' folded',
  `X-Long: ${'a'.repeat(3000)}`,
]
const swaps: readonly (readonly [from: string, to: string])[] = [
  ['HTTP/1.1', 'HTTP/1.0'],
  ['HTTP/1.1', 'HTTP/2.0'],
  ['\r\n', '\n'],
  ['\r\n', '\r'],
  ['\r\n\r\n', '\n\n'],
  ['Content-Length: ', 'Content-Length: 0'],
  ['Content-Length: ', 'Content-Length: 1'],
  ['Content-Length: ', 'Content-Length:\r\n '],
  ['Content-Length', 'Transfer-Encoding: chunked\r\nContent-Length'],
  ['chunked', 'Chunked'],
  ['chunked', 'chunked, identity'],
  ['0\r\n', '00;a=b\r\n'],
  ['0\r\n', '0\n'],
  ['0\r\n', '-0\r\n'],
  ['0\r\n', 'ffffffffffffffff1\r\n'],
  ['GET', 'HEAD'],
  ['POST', 'CONNECT'],
  ['GET /', 'GET http://evil/'],
  [' /', ' //'],
  [' /', ' '],
  ['Host: ', 'Host: x@'],
]

type Mutation = (random: Random, bytes: string) => string

const mutations: readonly Mutation[] = [
  (random, bytes) => at(random, bytes, (left, right) => left + random.pick(controls) + right),
  (random, bytes) => at(random, bytes, (left, right) => left + right.slice(1 + random.below(4))),
  (random, bytes) =>
    at(random, bytes, (left, right) => {
      const flipped = (right.charCodeAt(0) || 0) ^ (1 << random.below(8))
      return left + String.fromCharCode(flipped) + right.slice(1)
    }),
  (random, bytes) => bytes.slice(0, random.below(bytes.length)),
  (random, bytes) => at(random, bytes, (left, right) => left + right.slice(0, 40) + right),
  (random, bytes) => onLine(random, bytes, (line) => `${line}\r\n${line}`),
  (random, bytes) => onLine(random, bytes, () => null),
  (random, bytes) => onLine(random, bytes, (line) => `${line}\r\n${random.pick(lines)}`),
  (random, bytes) => onLine(random, bytes, (line) => `${line}\r\n${random.pick(lines)}`),
  (random, bytes) => {
    const [from, to] = random.pick(swaps)
    const places = bytes.split(from)
    if (places.length < 2) return bytes
    const place = 1 + random.below(places.length - 1)
    return places.slice(0, place).join(from) + to + places.slice(place).join(from)
  },
]

/** What is sent: the same bytes, or up to three things done to them. */
export function mutate(random: Random, bytes: string): string {
  let mutated = bytes
  for (let left = random.pick([0, 1, 1, 1, 2, 3]); left > 0; left -= 1)
    mutated = random.pick(mutations)(random, mutated)
  return mutated
}

/** The pieces in which it is written. */
export function cutIntoPieces(random: Random, bytes: string): readonly string[] {
  if (random.chance(0.6) || bytes.length < 2) return [bytes]
  const place = 1 + random.below(bytes.length - 1)
  return [bytes.slice(0, place), ...cutIntoPieces(random, bytes.slice(place))]
}

function at(random: Random, bytes: string, edit: (left: string, right: string) => string): string {
  const place = random.below(bytes.length + 1)
  return edit(bytes.slice(0, place), bytes.slice(place))
}

function onLine(random: Random, bytes: string, edit: (line: string) => string | null): string {
  const all = bytes.split('\r\n')
  const place = random.below(all.length)
  const edited = edit(all[place] ?? '')
  return [...all.slice(0, place), ...(edited === null ? [] : [edited]), ...all.slice(place + 1)].join('\r\n')
}
