/**
 * Requests that end at a bad moment: whoever leaves, and whenever, leaves no place taken, no connection open and no
 * balancer that waits for ever.
 */

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { test, type TestContext } from 'node:test'
import { balance, openRaw } from '../support/balanced.ts'
import { openRawClone, plainAnswer } from '../support/raw-clone.ts'
import { readRawAnswer } from '../support/raw-answer.ts'
import { waitFor } from '../support/wait-for.ts'

/** What the balancer says is in flight. */
async function inFlight(url: string): Promise<number> {
  const health = (await (await fetch(`${url}/.fourfold/health`)).json()) as { upstreams: { inFlight: number } }
  return health.upstreams.inFlight
}

const webSocket =
  'GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n'

/** Waits until a number that grows has stopped growing. */
async function isStill(what: string, value: () => number): Promise<void> {
  let [last, times] = [0, 0]
  await waitFor(what, () => {
    times = value() === last && last > 0 ? times + 1 : 0
    last = value()
    return times > 20
  })
}

const length = 100_000

test('an upload whose client leaves while it waits for a place takes none', async (t) => {
  const held: ServerResponse[] = []
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    held.push(response)
    request.resume()
  }
  const { port, url } = await balance(t, [take], { maxInFlight: 1 })
  const head = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n`
  const first = openRaw(t, port, head)
  await waitFor('the first to reach the clone', () => held.length === 1)
  const second = openRaw(t, port, `${head}x`)
  const third = openRaw(t, port, `${head}${'y'.repeat(length)}`)
  // The order in which bytes came is the order in which they are looked at: the others wait by now.
  await fetch(`${url}/.fourfold/health`)
  second.socket.destroy()
  await second.closed
  await fetch(`${url}/.fourfold/health`)
  first.socket.write('x'.repeat(length))
  await waitFor('the third to reach the clone', () => held.length === 2)
  for (const response of held) response.end('done')
  await waitFor('the answers', () => first.received().endsWith('done') && third.received().endsWith('done'))
  assert.equal(await inFlight(url), 0)
  assert.equal(held.length, 2)
})

for (const nativeParser of [true, false]) {
  const way = nativeParser ? "Node's parser" : 'undici'

  test(`${way}: answers that wait behind another one end with their connection`, async (t) => {
    const paths: string[] = []
    const gone: string[] = []
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      const path = request.url ?? ''
      paths.push(path)
      response.once('close', () => void gone.push(path))
      if (path === '/large') response.end(Buffer.alloc(8 * 1024 * 1024))
      else if (path === '/small') response.end('small')
    }
    const { port, url } = await balance(t, [answer], { nativeParser })
    const raw = openRaw(
      t,
      port,
      ['/slow', '/large', '/small'].map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''),
    )
    await waitFor('all to reach the clone', () => paths.length === 3)
    await waitFor('the small one to be written', () => gone.includes('/small'))
    raw.socket.destroy()
    await waitFor('nothing to be in flight', async () => (await inFlight(url)) === 0)
    await waitFor('the clone to be told', () => gone.length === 3)
  })

  test(`${way}: an answer before the whole of a large body leaves a connection that serves the next`, async (t) => {
    const clone = await openRawClone(t)
    clone.answerEarly = (pending, socket) => {
      if (!pending.startsWith('POST')) return
      // Nothing is taken any more, so that the body piles up all the way back to its client.
      socket.pause()
      answer = () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly')
    }
    let answer = (): unknown => undefined
    const { balancer, port, url } = await balance(t, [], { nativeParser, bodyLimitBytes: 64 * 1024 * 1024 })
    balancer.setUpstreams([clone.upstream])
    const bytes = 32 * 1024 * 1024
    const raw = openRaw(t, port, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n`)
    let taken = 0
    const piece = Buffer.alloc(64 * 1024, 'x')
    const write = (): void => {
      taken += piece.length
      if (taken <= bytes) return void raw.socket.write(piece, write)
      raw.socket.write('GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    }
    write()
    await isStill('the client to get stuck', () => taken)
    assert.ok(taken < bytes)
    answer()
    const ended = await raw.closed
    const first = readRawAnswer(ended)
    assert.equal(first?.body, 'early')
    assert.match(first?.rest ?? '', /GET \/next$/)
    assert.equal(await inFlight(url), 0)
  })

  test(`${way}: a Trailer header where no trailers can follow is no trouble`, async (t) => {
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      response.writeHead(200, { trailer: 'x-sum', 'transfer-encoding': 'chunked' })
      if (request.method === 'HEAD') return void response.end()
      response.write('body')
      response.addTrailers({ 'x-sum': '1' })
      response.end()
    }
    const { port, url } = await balance(t, [answer], { nativeParser })
    const close = 'Host: a\r\nConnection: close\r\n\r\n'
    const head = readRawAnswer(await openRaw(t, port, `HEAD / HTTP/1.1\r\n${close}`).closed, true)
    assert.equal(head?.status, 200)
    const old = readRawAnswer(await openRaw(t, port, `GET / HTTP/1.0\r\n${close}`).closed)
    assert.equal(old?.body, 'body')
    const whole = await openRaw(t, port, `GET / HTTP/1.1\r\n${close}`).closed
    assert.match(whole, /trailer: x-sum/i)
    assert.match(whole, /x-sum: 1\r\n\r\n$/)
    assert.equal(await inFlight(url), 0)
  })

  test(`${way}: an event stream that names its length is cut, and not ended, when its clone drains`, async (t) => {
    const answer = (_request: IncomingMessage, response: ServerResponse): void => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'content-length': 1000 })
      response.write('data: 1\n\n')
    }
    const { balancer, port } = await balance(t, [answer], { nativeParser })
    const raw = openRaw(t, port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await waitFor('the event', () => raw.received().includes('data: 1'))
    await balancer.drain('clone-1.1', 1000)
    assert.equal(readRawAnswer(await raw.closed)?.whole, false)
  })
}

test('an answer of many small pieces waits for a slow client once, and not for each piece', async (t) => {
  const warnings: Error[] = []
  const hear = (warning: Error): void => void warnings.push(warning)
  process.on('warning', hear)
  t.after(() => process.off('warning', hear))
  const pieces = 200_000
  const chunks = '1\r\nx\r\n'.repeat(pieces)
  const clone = await openRawClone(t, () => `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`)
  const { balancer, port } = await balance(t, [])
  balancer.setUpstreams([clone.upstream])
  const raw = openRaw(t, port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  assert.equal(readRawAnswer(await raw.closed)?.body.length, pieces)
  assert.deepEqual(warnings, [])
})

test('a stop lets come whole what has begun to come', async (t) => {
  const take = (request: IncomingMessage, response: ServerResponse): void =>
    void request.resume().once('end', () => response.end('posted'))
  const { balancer, port, url } = await balance(t, [take])
  let left = 100
  const post = openRaw(t, port, `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${left}\r\n\r\n`)
  await fetch(`${url}/.fourfold/health`)
  const stopped = balancer.stop(10_000)
  await waitFor('the body to be sent', () => {
    post.socket.write('x')
    return (left -= 1) === 0
  })
  assert.match(await post.closed, /posted$/)
  await stopped
})

/** The remote ports of this machine's connections from a port whose keep-alive timer runs (tcp(7), /proc/net/tcp). */
async function probed(port: number): Promise<Set<number>> {
  const portOf = (address = ''): number => Number.parseInt(address.split(':')[1] ?? '', 16)
  const lines = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((line) => line.trim().split(/\s+/))
  const found = lines.filter(([, local, , , , timer]) => portOf(local) === port && timer?.startsWith('02:') === true)
  return new Set(found.map(([, , remote]) => portOf(remote)))
}

const onLinux = { skip: process.platform === 'linux' ? false : 'reads /proc' }

test(
  'peers that vanish without a word are noticed: clients, clones, and both ends of a WebSocket',
  onLinux,
  async (t) => {
    const agree = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'
    const ports: (number | undefined)[] = []
    const clone = await openRawClone(t, (request, socket) => {
      ports.push(socket.remotePort)
      return request.target === '/socket' ? agree : 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf'
    })
    const { balancer, port } = await balance(t, [])
    balancer.setUpstreams([clone.upstream])
    const plain = openRaw(t, port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const upgraded = openRaw(t, port, webSocket)
    await waitFor(
      'both answers',
      () => plain.received().endsWith('half') && upgraded.received().startsWith('HTTP/1.1 101 '),
    )
    await waitFor(
      'the clients to be probed',
      async () => {
        const clients = await probed(port)
        return [plain, upgraded].every(({ socket }) => clients.has(socket.localPort ?? 0))
      },
      3000,
    )
    const { address } = clone.upstream
    for (const own of ports) {
      await waitFor(
        'the clone to be probed',
        async () => 'port' in address && (await probed(own ?? 0)).has(address.port),
        3000,
      )
    }
  },
)

async function upgradeAnswered(t: TestContext, answer: string, ends: boolean, requestTimeoutMs = 300) {
  const clone = await openRawClone(t, (request, socket) => {
    if (request.target !== '/socket') return plainAnswer(request)
    socket.write(answer, 'latin1')
    if (ends) setImmediate(() => socket.resetAndDestroy())
    return null
  })
  const { balancer, port, url } = await balance(t, [], { requestTimeoutMs })
  balancer.setUpstreams([clone.upstream])
  return { raw: openRaw(t, port, webSocket), url, balancer }
}

for (const ends of [true, false]) {
  test(`an upgrade that is answered with half an answer ${ends ? 'and a reset' : 'and silence'} is cut`, async (t) => {
    const half = 'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf'
    const { raw, url } = await upgradeAnswered(t, half, ends)
    assert.match(await raw.closed, /\r\n\r\nhalf$|^$|^HTTP\/1.1 502 /)
    assert.equal(await inFlight(url), 0)
  })
}

const events = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: 1\n\n'

test('an event stream that answers an upgrade takes no place, and ends when its clone drains', async (t) => {
  const { raw, url, balancer } = await upgradeAnswered(t, events, false, 10_000)
  await waitFor('the event', () => raw.received().endsWith('data: 1\n\n'))
  assert.equal(await inFlight(url), 0)
  assert.equal(await balancer.drain('clone-1.1', 5000), 0)
  await raw.closed
})

test('an answer to an upgrade ends when its client ends', async (t) => {
  const endless = 'HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nsome'
  const { raw, url } = await upgradeAnswered(t, endless, false, 10_000)
  await waitFor('the beginning', () => raw.received().endsWith('some'))
  assert.equal(await inFlight(url), 1)
  raw.socket.end()
  await raw.closed
  await waitFor('the place to be free', async () => (await inFlight(url)) === 0)
})

test('headers of an answer to an upgrade arrive as the clone wrote them', async (t) => {
  const answer = 'HTTP/1.1 403 Verb\xf6ten\r\nx-name: J\xfcrgen\r\ncontent-length: 2\r\n\r\nno'
  const { raw, url } = await upgradeAnswered(t, answer, false)
  const received = await raw.closed
  assert.match(received, /^HTTP\/1\.1 403 Verb\xf6ten\r\n(?:.*\r\n)*x-name: J\xfcrgen\r\n/)
  assert.equal(readRawAnswer(received)?.body, 'no')
  assert.equal(await inFlight(url), 0)
})

test('a client that keeps its half of a refused upgrade open is cut', async (t) => {
  const { port } = await balance(t, [])
  const raw = openRaw(t, port)
  raw.socket.allowHalfOpen = true
  raw.socket.write(webSocket)
  await waitFor('the refusal', () => raw.received().startsWith('HTTP/1.1 503 '))
  await waitFor('a reset for whoever goes on', () => raw.socket.destroyed || (raw.socket.write('x'), false))
  await raw.closed
})

test('a stop waits for no WebSocket of a clone that left the list', async (t) => {
  const agree = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'
  const { raw, balancer } = await upgradeAnswered(t, agree, false)
  await waitFor('the upgrade', () => raw.received().startsWith('HTTP/1.1 101 '))
  balancer.setUpstreams([])
  await balancer.stop(100)
  await raw.closed
})
