/** Requests that no well-behaved client sends, byte by byte through the balancer: a documented 4xx, and life goes on. */

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { connect } from 'node:net'
import { describe, test } from 'node:test'

import { type Call } from '../../support/conduit.ts'
import { readRawAnswer } from '../../support/raw-answer.ts'
import { good, type Given } from './answers.ts'

const tenMiB = 10 * 1024 * 1024
const deadlineMs = 30_000

interface RawAnswer {
  readonly status: number
  readonly body: string
}

/** Sends bytes as they are, and waits for the whole answer, however long the other side keeps the line. */
function sendBytes(url: string, ...pieces: readonly (string | Buffer)[]): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    let received = ''
    socket.setEncoding('latin1')
    socket.setTimeout(deadlineMs, () => socket.destroy(new Error(`no answer within ${deadlineMs} ms`)))
    const hear = (ended: boolean): void => {
      const answer = readRawAnswer(received)
      if (answer === null || !(answer.whole || ended)) {
        if (ended) reject(new Error(`the line was closed after ${JSON.stringify(received)}`))
        return
      }
      resolve({ status: answer.status, body: Buffer.from(answer.body, 'latin1').toString() })
      socket.destroy()
    }
    socket.on('data', (text: string) => {
      received += text
      hear(false)
    })
    socket.once('error', reject)
    socket.once('close', () => hear(true))
    for (const piece of pieces) socket.write(piece)
  })
}

/** Posts a body of 10 MiB with these headers, in pieces, after the server asked for it where it is to be asked. */
function postTenMiB(url: string, path: string, headers: Record<string, string>): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/api${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', connection: 'close', ...headers },
      timeout: deadlineMs,
    })
    sent.once('timeout', () => sent.destroy(new Error(`no answer within ${deadlineMs} ms`)))
    sent.once('error', reject)
    sent.once('response', (answer) => {
      let body = ''
      answer.on('data', (chunk: Buffer) => (body += chunk.toString()))
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, body }))
    })
    const sendBody = (): void => {
      const piece = Buffer.alloc(tenMiB / 16, 'x')
      for (let n = 0; n < 16; n++) sent.write(piece)
      sent.end()
    }
    if (headers['expect'] === undefined) return sendBody()
    sent.once('continue', sendBody)
    sent.flushHeaders()
  })
}

const line = (method: string, target: string, ...headers: string[]): string =>
  [`${method} ${target} HTTP/1.1`, 'Host: conduit', 'Connection: close', ...headers, '', ''].join('\r\n')

export function rawRequestTests(given: Given): void {
  const call: Call = (...sent) => given.call(...sent)
  const bytes = (...pieces: (string | Buffer)[]): Promise<RawAnswer> => sendBytes(given.url, ...pieces)

  describe('requests byte by byte', () => {
    let before: string[] = []
    test('several clones answer', async () => {
      before = await clonesThatAnswer(call)
      assert.ok(before.length > 1, before.join())
    })

    const ways: [string, Record<string, string>][] = [
      ['with its length', { 'content-length': String(tenMiB) }],
      ['in chunks', { 'transfer-encoding': 'chunked' }],
      ['with its length, when asked for it', { 'content-length': String(tenMiB), expect: '100-continue' }],
      ['in chunks, when asked for it', { 'transfer-encoding': 'chunked', expect: '100-continue' }],
    ]
    for (const [how, headers] of ways) {
      test(`a body of 10 MiB sent ${how} is too large, in the API's words`, async () => {
        const { status, body } = await postTenMiB(given.url, '/users', headers)
        assert.equal(status, 413, body)
        assert.deepEqual(JSON.parse(body), { errors: { body: ['is too large'] } })
        const refused = await postTenMiB(given.url, '/articles', { ...headers, authorization: 'Token nonsense' })
        assert.equal(refused.status, 401, refused.body)
        assert.deepEqual(JSON.parse(refused.body), { errors: { token: ['is invalid'] } })
      })
    }

    test('methods that the API does not have are unknown routes', async () => {
      const unknown = ['PATCH', 'PROPFIND', 'PURGE', 'QUERY', 'LOCK'].map(async (method) => {
        const { status, body } = await bytes(line(method, '/api/articles', 'Content-Length: 0'))
        assert.equal(status, 404, method)
        assert.deepEqual(JSON.parse(body), { errors: { route: ['not found'] } })
      })
      const refused = ['TRACE', 'BREW'].map(async (method) =>
        assert.equal((await bytes(line(method, '/api/tags'))).status, 400, method),
      )
      await Promise.all([...unknown, ...refused])
    })

    test('bytes that are no request, or that can be read in two ways, are refused', async () => {
      const chunked = line('POST', '/api/users', 'Transfer-Encoding: chunked')
      const requests = [
        'nonsense\r\n\r\n',
        '\u0016\u0003\u0001\u0002\r\n\r\n',
        'GET /api/tags HTTP/1.1\r\n\r\n',
        `${chunked}zz\r\n\r\n`,
        `${line('POST', '/api/users', 'Content-Length: 3', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
        `${line('POST', '/api/users', 'Content-Length: 2', 'Content-Length: 3')}{}`,
        line('GET', '/api/tags', 'X-Name : value'),
      ]
      for (const text of requests) assert.equal((await bytes(text)).status, 400, JSON.stringify(text))
    })

    test('a flood of headers is refused, however it is made up', async () => {
      const many = Array.from({ length: 2000 }, (_, n) => `X-Flood-${n}: ${'y'.repeat(40)}`)
      assert.equal((await bytes(line('GET', '/api/tags', ...many))).status, 431)
      assert.equal((await bytes(line('GET', '/api/tags', `X-Flood: ${'y'.repeat(100_000)}`))).status, 431)
      assert.equal((await bytes(line('GET', `/api/articles/${'a'.repeat(50_000)}`))).status, 431)
      assert.equal((await bytes(line('GET', '/api/tags', ...many.slice(0, 150)))).status, 200)
    })

    test('targets are resolved as an address, and lead nowhere else', async () => {
      for (const target of [
        '/api/../../etc/passwd',
        '/api/%2e%2e/%2e%2e/etc/passwd',
        '/assets/..%2f..%2fpackage.json',
      ]) {
        assert.equal((await bytes(line('GET', target))).status, 404, target)
      }
      for (const target of ['/api/articles/%ff', '/article/%zz', '/profile/%c3%28']) {
        assert.equal((await bytes(line('GET', target))).status, 400, target)
      }
    })

    test('cookies and tokens of any shape are only not valid', async () => {
      const cookies = [
        'ff_session=%zz',
        '=; ;;;',
        'ff_session',
        `ff_session=${'a.'.repeat(3000)}`,
        'ff_reader=x; ff_pin=y',
      ]
      for (const cookie of cookies) {
        for (const path of ['/', '/api/tags']) {
          assert.equal(
            (await bytes(line('GET', path, `Cookie: ${cookie}`))).status,
            200,
            `${path} ${cookie.slice(0, 40)}`,
          )
        }
      }
      // {"alg":"none"} with the subject 1, and with one that is a list.
      const tokens = [
        'eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.',
        'eyJhbGciOiJub25lIn0.eyJzdWIiOlsxXX0.x',
        'a.'.repeat(3000),
      ]
      for (const token of tokens) {
        const { status, body } = await bytes(line('GET', '/api/user', `Authorization: Token ${token}`))
        assert.equal(status, 401, body)
      }
    })

    test('after all that the same clones answer', async () => {
      assert.deepEqual(await clonesThatAnswer(call), before)
      await good(call('GET', `/articles/${given.article.slug}`))
    })
  })
}

/** Of the system that the tests start. */
const ownClones = 3

/** The names of the processes that answer, sorted; a clone that was started again has another. */
async function clonesThatAnswer(call: Call): Promise<string[]> {
  const names = new Set<string>()
  // One that has just begun gets little at first.
  for (let n = 0; n < 60 || (n < 1_000 && names.size < ownClones); n++) {
    const { status, headers } = await call('GET', '/tags')
    assert.equal(status, 200)
    names.add(headers.get('x-fourfold-clone') ?? '')
  }
  return [...names].toSorted()
}
