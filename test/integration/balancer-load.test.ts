/**
 * Clients that cost more than they bring: hundreds that send or read slowly, and thousands of connections from one
 * address. The balancer runs in a process of its own, whose memory stays under a stated bound, and everybody else is
 * answered in a stated time, measured while it goes on.
 */

import assert from 'node:assert/strict'
import { connect, type Socket } from 'node:net'
import { it, type TestContext } from 'node:test'
import { openRawClone, plainAnswer, type RawClone } from '../support/raw-clone.ts'
import { startBalancerProcess, type BalancerProcess } from '../support/balancer-process.ts'
import type { BalancerProcessSettings } from './fixtures/balancer-process.ts'
import { waitFor } from '../support/wait-for.ts'

/** How much more memory a balancer may hold under any of this than before it. */
const growthLimitMiB = 96
/** What 99 of a hundred requests of others must stay under: some 20 ms on a quiet machine, and this one may be busy. */
const othersLimitMs = 2500
const attacker = '127.0.0.66'
const innocent = '127.0.0.1'
/** Elsewhere the machine has one loopback address. */
const onLinux = { skip: process.platform === 'linux' ? false : 'needs two loopback addresses' }
/** More than the system keeps for a connection that nobody reads. */
const large = Buffer.alloc(8 * 2 ** 20)

async function start(
  t: TestContext,
  settings: Partial<BalancerProcessSettings>,
): Promise<{ clone: RawClone; front: BalancerProcess }> {
  const clone = await openRawClone(t, (request, socket) => {
    if (request.target !== '/large') return plainAnswer(request)
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${large.length}\r\n\r\n`)
    socket.write(large)
    return null
  })
  const front = await startBalancerProcess({ upstreams: [clone.upstream], ...settings })
  t.after(() => front.stop())
  return { clone, front }
}

interface Client {
  readonly socket: Socket
  received(): string
}

function open(t: TestContext, port: number, from: string, bytes = '', reads = true): Client {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from })
  t.after(() => socket.destroy())
  let text = ''
  socket.setEncoding('latin1')
  socket.on('error', () => undefined)
  if (reads) socket.on('data', (chunk: string) => (text += chunk.slice(0, 500)))
  if (bytes !== '') socket.write(bytes, 'latin1')
  return { socket, received: () => text }
}

const askAndClose = 'GET /other HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

/** A hundred requests of somebody else, each on a connection of its own; answers how long the slowest but one took. */
async function serveOthers(t: TestContext, port: number): Promise<number> {
  const tookMs: number[] = []
  for (let count = 0; count < 100; count += 1) {
    const begunMs = performance.now()
    const { socket, received } = open(t, port, innocent, askAndClose)
    await waitFor('somebody else to be answered', () => socket.closed)
    assert.ok(received().endsWith('GET /other'), received())
    tookMs.push(performance.now() - begunMs)
  }
  return tookMs.toSorted((a, b) => b - a)[1] ?? 0
}

/** Runs the attack and holds the balancer to both bounds while it lasts. */
async function withstand(t: TestContext, front: BalancerProcess, attack: () => Promise<unknown>): Promise<void> {
  await serveOthers(t, front.port)
  const before = await front.measure()
  await attack()
  const slowestMs = await serveOthers(t, front.port)
  const { residentMiB } = await front.measure()
  const growthMiB = residentMiB - before.residentMiB
  t.diagnostic(`memory +${growthMiB.toFixed(1)} MiB, p99 of others ${slowestMs.toFixed(1)} ms`)
  assert.ok(growthMiB < growthLimitMiB, `memory has grown by ${growthMiB.toFixed(1)} MiB`)
  assert.ok(slowestMs < othersLimitMs, `somebody else waited ${slowestMs.toFixed()} ms`)
}

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

it('300 clients that trickle their headers are answered 408 and hold nothing', onLinux, async (t) => {
  const { clone, front } = await start(t, { headerTimeoutMs: 1500 })
  const clients: Client[] = []
  await withstand(t, front, async () => {
    clients.push(
      ...times(300, (index) => open(t, front.port, attacker, `GET /slow-${index} HTTP/1.1\r\nHost: a\r\nX-A: `)),
    )
    await waitFor('all to be connected', () => clients.every(({ socket }) => !socket.connecting))
    for (const { socket } of clients) socket.write('a')
  })
  for (const { socket } of clients) if (socket.writable) socket.write('a')
  await waitFor('all to be cut off', () => clients.every(({ socket }) => socket.closed))
  assert.ok(clients.every(({ received }) => received().startsWith('HTTP/1.1 408 ')))
  assert.ok(clone.requests.every(({ target }) => target === '/other'))
})

it('200 clients that trickle their bodies are answered 408, and the clone is rid of them', onLinux, async (t) => {
  const { clone, front } = await start(t, {
    bodyTimeoutMs: 800,
    bodyMinBytesPerSecond: 10_000,
    maxInFlight: 64,
    queueTimeoutMs: 500,
  })
  const clients: Client[] = []
  await withstand(t, front, async () => {
    const known = 'POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\na'
    const chunked = 'POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n'
    clients.push(...times(200, (index) => open(t, front.port, attacker, index % 2 === 0 ? known : chunked)))
    await waitFor('all to be connected', () => clients.every(({ socket }) => !socket.connecting))
  })
  const trickle = setInterval(() => {
    for (const [index, { socket }] of clients.entries())
      if (socket.writable) socket.write(index % 2 === 0 ? 'a' : '1\r\na\r\n')
  }, 200)
  t.after(() => clearInterval(trickle))
  const refused = (): number => clients.filter(({ received }) => /^HTTP\/1\.1 (?:408|503) /.test(received())).length
  await waitFor('all to be given up', () => refused() === clients.length)
  clearInterval(trickle)
  for (const { socket } of clients) socket.end()
  await waitFor('the clone to be rid of them', () => clone.unfinished().length === 0)
  assert.equal(clone.requests.filter(({ target }) => target === '/slow').length, 0)
})

it('50 clients that read nothing of a large answer hold a part of it each, and are cut off', onLinux, async (t) => {
  const { front } = await start(t, { stallTimeoutMs: 2000 })
  const clients: Client[] = []
  await withstand(t, front, async () => {
    clients.push(...times(50, () => open(t, front.port, attacker, 'GET /large HTTP/1.1\r\nHost: a\r\n\r\n', false)))
    await waitFor('all to be connected', () => clients.every(({ socket }) => !socket.connecting))
  })
  const { resources } = await front.measure()
  assert.ok(resources.length > 50, 'they were there')
  await waitFor('all to be cut off', async () => (await front.measure()).resources.length < 40)
})

it(
  '2,000 connections of one address leave room for others, and idle ones make room for new ones',
  onLinux,
  async (t) => {
    const { front } = await start(t, { maxConnections: 600, maxConnectionsPerAddress: 400, idleTimeoutMs: 60_000 })
    const clients: Client[] = []
    const alive = (): number => clients.filter(({ socket }) => !socket.closed && !socket.connecting).length
    await withstand(t, front, async () => {
      for (let round = 0; round < 4; round += 1) {
        clients.push(...times(500, () => open(t, front.port, attacker)))
        await waitFor('all to be connected or cut off', () => clients.every(({ socket }) => !socket.connecting))
      }
      await waitFor('those over the limit to be closed', () => alive() <= 400)
    })
    assert.ok(alive() > 300, `idle connections are kept while there is room: ${alive()}`)
    // The newest are those that are there: whoever came later has taken the place of an idle one.
    const last = open(t, front.port, attacker, askAndClose)
    await waitFor('a newcomer of the same address to be answered', () => last.socket.closed)
    assert.ok(last.received().endsWith('GET /other'))
  },
)

it('connections in use make no room: what is over the limit is closed at once', onLinux, async (t) => {
  const { clone, front } = await start(t, {
    maxConnections: 200,
    maxConnectionsPerAddress: 100,
    requestTimeoutMs: 60_000,
  })
  clone.answer = (request) => (request.target === '/held' ? null : plainAnswer(request))
  const held = times(100, () => open(t, front.port, attacker, 'GET /held HTTP/1.1\r\nHost: a\r\n\r\n'))
  await waitFor('all to be held', () => clone.requests.filter(({ target }) => target === '/held').length === 100)
  await withstand(t, front, async () => {
    const more = times(300, () => open(t, front.port, attacker, askAndClose))
    await waitFor('all of the others to be closed', () => more.every(({ socket }) => socket.closed))
    assert.ok(more.every(({ received }) => received() === ''))
  })
  assert.ok(held.every(({ socket }) => !socket.closed))
})
