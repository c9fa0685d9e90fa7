/**
 * Requests that two readers could understand differently, each from a source that is named with it: the balancer
 * refuses it, and no byte reaches a clone, or sends on one unambiguous request. A clone that is nothing but a TCP server
 * sees every byte. After each case somebody else is served, and nothing has come that nobody sent.
 */

import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { startBalancer, type Balancer } from '../../src/clones/balancer/balancer.ts'
import { silentLogger } from '../../src/core/log.ts'
import { openRaw, type RawConnection } from '../support/balanced.ts'
import { openRawClone, startRawClone, type RawClone } from '../support/raw-clone.ts'
import { valuesOf, type StrictRequest } from '../support/strict-http.ts'
import { waitFor } from '../support/wait-for.ts'
import type { Case, Forwarded } from './balancer-smuggling/case.ts'
import { chunkCases } from './balancer-smuggling/cases-chunks.ts'
import { codingCases } from './balancer-smuggling/cases-coding.ts'
import { hopCases } from './balancer-smuggling/cases-hops.ts'
import { lengthCases } from './balancer-smuggling/cases-length.ts'
import { lineCases } from './balancer-smuggling/cases-lines.ts'
import { targetCases } from './balancer-smuggling/cases-target.ts'

const tables: Readonly<Record<string, readonly Case[]>> = {
  'the length of a body': lengthCases,
  'the coding of a body': codingCases,
  'bodies in chunks': chunkCases,
  'lines of a head': lineCases,
  'targets, hosts and methods': targetCases,
  'headers of one hop, Expect and upgrades': hopCases,
}

/** What comes behind what was refused, on the same connection: it must not be heard. */
const after400 = 'GET /after HTTP/1.1\r\nHost: a\r\n\r\n'

for (const [table, cases] of Object.entries(tables)) {
  for (const nativeParser of [true, false])
    describeTable(`${table}, ${nativeParser ? 'native' : 'undici'}`, cases, nativeParser)
}

for (const [what, bytes] of [
  ['a WebSocket', 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'],
  ['CONNECT', 'CONNECT evil:443 HTTP/1.1\r\nHost: evil:443\r\n\r\n'],
]) {
  it(`${what} before an earlier request is answered closes the connection [RFC 9112 9.3.2: answers keep their order]`, async (t) => {
    const clone = await openRawClone(t, () => null)
    const balancer = await startBalancer({ port: 0, log: silentLogger })
    t.after(() => balancer.stop(0))
    balancer.setUpstreams([clone.upstream])
    const raw = openRaw(t, balancer.address.port, `GET /held HTTP/1.1\r\nHost: a\r\n\r\n${bytes}`)
    assert.equal(await raw.closed, '')
    assert.ok(clone.requests.every(({ target }) => target === '/held'))
  })
}

function describeTable(title: string, cases: readonly Case[], nativeParser: boolean): void {
  describe(title, () => {
    let clone: RawClone
    let balancer: Balancer
    before(async () => {
      clone = await startRawClone()
      balancer = await startBalancer({ port: 0, log: silentLogger, nativeParser })
      balancer.setUpstreams([clone.upstream])
    })
    after(async () => {
      await balancer.stop(100)
      await clone.close()
    })
    for (const one of cases) {
      it(`${one.name} [${one.source}]`, (t) => runCase(t, clone, balancer.address.port, one))
    }
  })
}

async function runCase(t: TestContext, clone: RawClone, port: number, one: Case): Promise<void> {
  clone.requests.length = 0
  clone.cut.length = 0
  clone.violations.length = 0
  const { expect } = one
  if ('refused' in expect) await isRefused(t, clone, port, one, expect.refused)
  else if ('cut' in expect) await isCut(t, clone, port, one)
  else await isForwarded(t, clone, port, one, expect.forwarded)
  const expected = 'forwarded' in expect ? expect.forwarded.map(({ line }) => line) : []
  await servesOthers(t, port)
  assert.deepEqual(clone.violations, [])
  assert.deepEqual(clone.requests.map(lineOf).toSorted(), [...expected, 'GET /innocent'].toSorted())
  assert.deepEqual(clone.unfinished(), [])
}

async function isRefused(t: TestContext, clone: RawClone, port: number, one: Case, status: number): Promise<void> {
  const raw = openRaw(t, port, [one.bytes].flat().join(''))
  await waitFor(`a refusal of ${one.name}`, () => answersIn(raw.received()).length > 0)
  if (raw.socket.writable) raw.socket.end(after400)
  const received = await closing(raw)
  assert.equal(received.match(/HTTP\/1\.1 [2-9]\d\d/g)?.length, 1, received)
  assert.match(received, new RegExp(`^HTTP/1\\.1 ${status} `), received)
  assert.match(received, /\r\nconnection: close\r\n/i)
  assert.deepEqual(clone.cut, [])
}

async function isCut(t: TestContext, clone: RawClone, port: number, { bytes, name }: Case): Promise<void> {
  const [first = '', ...others] = bytes
  const raw = openRaw(t, port, first)
  await waitFor(`the clone to hear the beginning of ${name}`, () => clone.unfinished().length > 0)
  raw.socket.end(others.join(''), 'latin1')
  const received = await closing(raw)
  assert.ok(
    answersIn(received).every((answer) => /^HTTP\/1\.1 (?:400|502) /.test(answer)),
    received,
  )
  await waitFor(`the clone to see the end of ${name}`, () => clone.cut.length > 0)
}

async function isForwarded(
  t: TestContext,
  clone: RawClone,
  port: number,
  { bytes }: Case,
  expected: readonly Forwarded[],
): Promise<void> {
  const raw = openRaw(t, port, [bytes].flat().join(''))
  await waitFor('the clone to hear it', () => clone.requests.length >= expected.length || raw.socket.destroyed)
  await waitFor('the answer', () => answersIn(raw.received()).length >= expected.length || raw.socket.destroyed)
  const answers = answersIn(raw.received())
  assert.equal(answers.length, expected.length, raw.received())
  for (const [index, wanted] of expected.entries()) {
    // Two requests at once go on two connections: either may be there first.
    const request = clone.requests.find((one) => lineOf(one) === wanted.line)
    assert.ok(request !== undefined, wanted.line)
    isAsWanted(request, wanted)
    if (request.method !== 'HEAD') assert.ok(answers[index]?.endsWith(`\r\n\r\n${wanted.line}`), answers[index])
  }
  raw.socket.destroy()
}

function isAsWanted(request: StrictRequest, { line, body = '', headers = {} }: Forwarded): void {
  assert.equal(lineOf(request), line)
  assert.equal(request.body, body)
  for (const [name, values] of Object.entries(headers)) assert.deepEqual(valuesOf(request.headers, name), values, name)
  // Whoever sends a request may say what it does with its own connection, and nothing that the client named.
  for (const value of valuesOf(request.headers, 'connection')) assert.match(value, /^(?:keep-alive|close|upgrade)$/)
  const forbidden = /^(?:transfer-encoding|content-length|host|authorization|x[-_]forwarded.*)$/i
  assert.deepEqual(
    request.trailers.filter(([name]) => forbidden.test(name)),
    [],
  )
}

/** Somebody else asks and gets their own answer, on the connections to the clone that the case has left. */
async function servesOthers(t: TestContext, port: number): Promise<void> {
  const raw = openRaw(t, port, 'GET /innocent HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const received = await raw.closed
  assert.match(received, /^HTTP\/1\.1 200 OK\r\n/)
  assert.ok(received.endsWith('\r\n\r\nGET /innocent'), received)
}

function lineOf({ method, target }: StrictRequest): string {
  return `${method} ${target}`
}

/** The answers in what came, but for interim ones. Bodies here never look like answers. */
function answersIn(received: string): readonly string[] {
  return received.split(/(?=HTTP\/1\.1 \d\d\d )/).filter((answer) => /^HTTP\/1\.1 [2-5]\d\d .*\r\n\r\n/s.test(answer))
}

function closing({ closed, socket }: RawConnection): Promise<string> {
  return waitFor('the connection to close', () => socket.closed).then(() => closed)
}
